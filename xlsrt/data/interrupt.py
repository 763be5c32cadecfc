"""Ctrl-C ends a live source of audio as its own end would."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Read = TypeVar("Read")


class Interrupt:
    """Ctrl-C takes effect while the next samples are waited for, never amid those that are being heard.

    So whatever has come is heard to its end. Outside of `listening`, and elsewhere than in the main thread,
    where signals cannot be caught, it ends the program as always.
    """

    def __init__(self) -> None:
        self.asked = False
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

    def wait(self, read: Callable[[], Read]) -> Read | None:
        """What ``read`` returns; None where Ctrl-C has come."""
        try:
            self._waiting = True
            return None if self.asked else read()
        except KeyboardInterrupt:
            self.asked = True
            return None
        finally:
            self._waiting = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._waiting:
            raise KeyboardInterrupt
