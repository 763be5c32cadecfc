"""What a recogniser returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from xlsrt.search import Hypothesis
from xlsrt.text import Word


@dataclass(frozen=True)
class Result:
    """One finished transcript: of a whole recording, or of the piece of a stream between two endpoints.

    Attributes:
        text: the transcript. words: the same with times and confidence.
        hypothesis: token ids, frames, probabilities, score.
        start, end: seconds from the start of the stream; ``end``: where the search stood when it closed.
    """

    text: str
    words: list[Word]
    hypothesis: Hypothesis
    start: float
    end: float

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Partial:
    """What is known after a packet; ``stable, unstable = partial`` takes the two texts out.

    Attributes:
        stable: text of the open segment that will not change any more; from packet to packet it only grows.
        unstable: text after it that may still change.
        finished: segments that an endpoint rule has closed since the last packet, in order, handed out
            once; ``stable`` and ``unstable`` belong to what follows them.
    """

    stable: str = ""
    unstable: str = ""
    finished: list[Result] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        """Stable text, unstable text."""
        return iter((self.stable, self.unstable))

    @property
    def text(self) -> str:
        """Stable and unstable text of the open segment."""
        return self.stable + self.unstable
