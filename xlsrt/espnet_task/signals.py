"""SIGTERM and SIGINT ask the training to stop: it saves at the next update and leaves."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Interrupted(SystemExit):
    """The training has saved its state and stops; the exit code is that of the signal (143 for SIGTERM)."""


class StopRequest:
    """Set by the first signal; the second one has its usual effect."""

    def __init__(self) -> None:
        self.signal = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals within this block. Elsewhere than in the main thread signals cannot be caught:
        no effect.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = number
        logging.warning(f"{signal.Signals(number).name}: saving at the next update, then stopping")

    def leave(self) -> Interrupted:
        """The exception to raise once everything is saved."""
        return Interrupted(128 + (self.signal or signal.SIGTERM))


@contextmanager
def forwarding_to_children() -> Iterator[None]:
    """In a process that only waits for its workers: hand SIGTERM on to them and keep waiting."""

    def forward(number: int, _frame: FrameType | None) -> None:
        for child in multiprocessing.active_children():
            with suppress(ProcessLookupError):
                os.kill(child.pid or 0, number) if child.pid else None

    before = signal.signal(signal.SIGTERM, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ignore_in_worker() -> None:
    """A data-loading worker leaves the decision to its parent, even if the whole process group is
    signalled.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
