"""When a stream's open segment is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xlsrt.errors import UserError
from xlsrt.settings import Settings
from xlsrt.units import FRAME_SECONDS

STEP_FRAMES = 4
"""Segments end at multiples of this: of every output subsampling, so that no group of frames is torn."""

CHECK_FRAMES = 16
"""Rules are looked at so many frames after the last look at the latest, wherever packets end. Searching less
at a time costs more, and what can close earlier is known at the look before (`EndpointRules.next_look`)."""

SILENCE_SECONDS = 30.0
"""Of silence, after which the encoder begins anew where the rules restart it and limit no segment."""

OF_NO_USE = (
    "with full attention nothing comes out of a stream before its end, so an endpoint is no use; choose"
)
"""Why rules are refused; what to choose follows."""


@dataclass(frozen=True)
class EndpointRules(Settings):
    """Rules that close a segment; times in seconds, measured from token to token, to a multiple of 0.08 s.

    Attributes:
        trailing_silence: close after so long without a token that is more than a space; None: never.
        max_seconds: close so long after the segment's first token at the latest; silence before it does not
            count. From 0.8 of it on, a pause of ``min_pause`` is enough, so that few words are cut in two;
            None: no limit.
        min_pause: that pause.
        restart_encoder: begin again with a fresh encoder too, at the closing frame's first sample: who speaks
            next may be another, and the sinks and the past are those of the voice before. Endless streams
            whose context keeps all the past need it; so they restart after ``max_seconds`` of silence too,
            or after 30 s where there is no limit.
    """

    WHERE = "endpoint"

    # Whole numbers stay what they are: decodings know by these settings whether they are done.
    trailing_silence: int | float | None = 1.0
    max_seconds: int | float | None = 30.0
    min_pause: int | float = 0.3
    restart_encoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("trailing_silence", "max_seconds", "min_pause"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"endpoint.{name} is {value!r}; give seconds above 0 or leave it out")

    def closes(self, now: int, start: int, tokens: Sequence[int]) -> bool:
        """Whether to close at frame ``now`` a segment that began at ``start``; frames of 20 ms.

        ``tokens``: the frames of its tokens so far, spaces left out.
        """
        length = (now - (tokens[0] if tokens else start)) * FRAME_SECONDS
        if not tokens:
            longest = SILENCE_SECONDS if self.max_seconds is None else self.max_seconds
            return self.restart_encoder and length >= longest - 1e-9
        too_long = self.max_seconds is not None and length >= self.max_seconds - 1e-9
        pause = (now - tokens[-1]) * FRAME_SECONDS + 1e-9
        if self.trailing_silence is not None and pause >= self.trailing_silence:
            return True
        nearly = self.max_seconds is not None and length >= 0.8 * self.max_seconds
        return too_long or (nearly and pause >= self.min_pause)

    def next_look(self, now: int, start: int, tokens: Sequence[int]) -> int:
        """The frame at which to look again, where nothing closes at ``now``; arguments as `closes` has them.

        A pause that is long enough is met at the very frame where it becomes so, however soon words follow.
        """
        between = range(now + STEP_FRAMES, now + CHECK_FRAMES, STEP_FRAMES)
        return next((frame for frame in between if self.closes(frame, start, tokens)), now + CHECK_FRAMES)
