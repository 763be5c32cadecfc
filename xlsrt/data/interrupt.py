"""Ctrl-C ends a live source of audio as its own end would."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Argument = TypeVar("Argument")
Read = TypeVar("Read")


class Interrupt:
    """Ctrl-C takes effect while the next samples are waited for, never amid those that are being heard.

    So whatever has come is heard to its end. Who cannot wait for that presses it again, a second later.
    Outside of `listening`, and elsewhere than in the main thread, where signals cannot be caught, it ends the
    program as always.
    """

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0
        self._waiting = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch Ctrl-C within this block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def wait(self, read: Callable[[Argument], Read], argument: Argument) -> Read | None:
        """What ``read(argument)`` returns; None where Ctrl-C has come instead."""
        found: list[Read] = []
        try:
            self._waiting = True
            if not self.asked:
                # One step of the interpreter, where ``read`` is written in C: what it has read cannot be lost
                # to a signal that comes right after.
                found.extend(map(read, (argument,)))
        except KeyboardInterrupt:
            self.asked = True
        finally:
            self._waiting = False
        return found[0] if found else None

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        again = self.asked and time.monotonic() - self._since > 1.0
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
        if self._waiting or again:
            self._waiting = False
            raise KeyboardInterrupt
