"""Processes that end with those that started them."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

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


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def outlives(place: Path, late: bool, wait_for: str) -> bool:
    """Whether a worker lives on whose parent was killed once the file was there."""
    place.mkdir()
    parent = FRESH.Process(target=start_worker, args=(place, late))
    parent.start()
    end = time.monotonic() + 60
    while not (place / wait_for).exists() or not (place / "begun").read_text():
        assert parent.is_alive() and time.monotonic() < end
        time.sleep(0.02)
    parent.kill()
    parent.join()
    worker = int((place / "begun").read_text())
    end = time.monotonic() + 10
    while is_alive(worker) and time.monotonic() < end:
        time.sleep(0.05)
    return is_alive(worker)


def test_a_spawned_worker_ends_when_its_parent_does_or_has(tmp_path: Path) -> None:
    assert not outlives(tmp_path / "later", False, "checked")
    assert not outlives(tmp_path / "before", True, "begun")
    assert not (tmp_path / "before" / "checked").exists()
