"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """One transcript in tokens.

    Attributes:
        tokens: ids without blanks.
        frames: for each token the encoder frame (20 ms, counted from the start of the stream) at which it was
            emitted; with output subsampling the first frame of its group.
        probs: for each token its probability at that point, in [0, 1].
        score: natural logarithm of the path's probability, blanks included, and what a search adds to it
            (language models, phrases, the blank's penalty).
    """

    tokens: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    score: float = 0.0
