"""Signals to a process that waits for its workers, and to those whose parent was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from tests.espnet_task.tones import Corpus, settings
from tests.waiting import is_alive, wait_for
from xlsrt.espnet_task.shared_task import meeting_point
from xlsrt.espnet_task.signals import forwarding_to_children
from xlsrt.espnet_task.task import XlsrASRTask

FRESH = multiprocessing.get_context("spawn")


def wait_for_signal(asked: bool) -> None:
    """Alone, or (asked) as the parent of a process that waits for the signal."""
    with forwarding_to_children():
        if asked:
            child = FRESH.Process(target=time.sleep, args=(60,))
            child.start()
        os.kill(os.getpid(), signal.SIGTERM)
        if asked:
            child.join(30)
            raise SystemExit(7 if child.exitcode == -signal.SIGTERM else 1)
        time.sleep(30)


@pytest.mark.parametrize(("children", "code"), [(False, -signal.SIGTERM), (True, 7)])
def test_a_signal_is_for_the_workers_and_where_there_are_none_for_us(children: bool, code: int) -> None:
    process = FRESH.Process(target=wait_for_signal, args=(children,))
    process.start()
    process.join(60)
    assert process.exitcode == code


def train_in_a_worker(options: list[str], changes: dict[str, object], found: Path) -> None:
    args = XlsrASRTask.get_parser().parse_args(options)
    vars(args).update(settings(**changes), distributed=False, version="test")
    worker = FRESH.Process(target=XlsrASRTask.main_worker, args=(args,))
    worker.start()
    found.write_text(str(worker.pid))
    worker.join()


@pytest.mark.timeout(200)
def test_a_worker_goes_with_its_parent(corpus: Corpus, tmp_path: Path) -> None:
    exp, found = tmp_path / "exp", tmp_path / "pid"
    options = [*corpus.options, "--output_dir", str(exp)]
    parent = FRESH.Process(target=train_in_a_worker, args=(options, {"max_epoch": 10**4}, found))
    parent.start()
    wait_for((exp / "1epoch.pth").exists, 120)
    worker = int(found.read_text())
    assert is_alive(worker)
    parent.kill()
    parent.join()
    wait_for(lambda: not is_alive(worker), 10)


def test_a_job_that_slurm_starts_again_has_a_meeting_point_of_its_own() -> None:
    assert meeting_point("file:///exp/.dist_init1", {}) == "file:///exp/.dist_init1"
    assert meeting_point("file:///exp/.dist_init1", {"SLURM_RESTART_COUNT": "0"}) == "file:///exp/.dist_init1"
    assert (
        meeting_point("file:///exp/.dist_init1", {"SLURM_RESTART_COUNT": "2"}) == "file:///exp/.dist_init1.2"
    )
    assert meeting_point("env://", {"SLURM_RESTART_COUNT": "2"}) == "env://"
