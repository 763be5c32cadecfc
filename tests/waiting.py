"""Waiting for other processes, and whether they live."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def comes_true(condition: Callable[[], object], seconds: float) -> bool:
    """Whether it does within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it is true; the test fails after so many seconds."""
    assert comes_true(condition, seconds), "waited in vain"


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second when it goes between opening and reading
        return False
