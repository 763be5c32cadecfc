"""SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask the training to stop: it saves at the next update and leaves."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from xlsrt.processes import TO_SAVE

# A queue signals every process of a job, and each process between it and us hands the signal on too.
SAME_REQUEST_SECONDS = 5.0


class Interrupted(SystemExit):
    """The training has saved its state and stops; the exit code is that of the signal (143 for SIGTERM)."""


class StopRequest:
    """Set by the first signal; one that comes `SAME_REQUEST_SECONDS` later has its usual effect."""

    def __init__(self) -> None:
        self.signal = 0
        self.since = 0.0

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
        before = {number: signal.signal(number, self._note) for number in TO_SAVE}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal:
            if time.monotonic() - self.since > SAME_REQUEST_SECONDS:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self.signal, self.since = number, time.monotonic()
        logging.warning(f"{signal.Signals(number).name}: saving at the next update, then stopping")

    def leave(self) -> Interrupted:
        """The exception to raise once everything is saved."""
        return Interrupted(128 + (self.signal or signal.SIGTERM))


@contextmanager
def forwarding_to_children() -> Iterator[None]:
    """In a process that only waits for its workers: hand signals (but SIGINT) on to them and keep waiting.

    Before there are any, a signal has its usual effect: there is nothing to save yet.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        children = multiprocessing.active_children()
        if not children:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child.pid or 0, number) if child.pid else None

    before = {number: signal.signal(number, forward) for number in TO_SAVE if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_in_worker() -> None:
    """A data-loading worker leaves the decision to its parent, even if the whole process group is
    signalled.
    """
    for number in TO_SAVE:
        signal.signal(number, signal.SIG_IGN)
