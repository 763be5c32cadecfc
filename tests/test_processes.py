"""Processes that end with those that started them."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

from tests.waiting import comes_true, is_alive, wait_for
from xlsrt.processes import end_with_parent

FRESH = multiprocessing.get_context("spawn")


def work(place: Path, late: bool) -> None:
    parent = os.getppid()
    (place / "begun").write_text(str(os.getpid()))
    while late and os.getppid() == parent:
        time.sleep(0.02)
    end_with_parent()
    (place / "checked").touch()
    time.sleep(60)


def start_worker(place: Path, late: bool) -> None:
    worker = FRESH.Process(target=work, args=(place, late))
    worker.start()
    worker.join()


def outlives(place: Path, late: bool, wait_until: str) -> bool:
    """Whether a worker lives on whose parent was killed once the file was there."""
    place.mkdir()
    parent = FRESH.Process(target=start_worker, args=(place, late))
    parent.start()
    wait_for(lambda: (place / wait_until).exists() and (place / "begun").read_text())
    parent.kill()
    parent.join()
    worker = int((place / "begun").read_text())
    return not comes_true(lambda: not is_alive(worker), 10)


def test_a_spawned_worker_ends_when_its_parent_does_or_has(tmp_path: Path) -> None:
    assert not outlives(tmp_path / "later", False, "checked")
    assert not outlives(tmp_path / "before", True, "begun")
    assert not (tmp_path / "before" / "checked").exists()
