"""Word of long passes over an input, every ten seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
log = logging.getLogger(__name__)

NEWS_SECONDS = 10.0
_LOOK = 1024  # at the clock once in so many


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The items as they are; meanwhile how many there were is logged as "<what>: <count> read"."""
    told = time.monotonic()
    for count, item in enumerate(items, 1):
        if count % _LOOK == 0 and time.monotonic() - told > NEWS_SECONDS:
            told = time.monotonic()
            log.info("%s: %d read", what, count)
        yield item
