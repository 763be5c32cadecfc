"""Who may see whom: the one rule from which masks, cache eviction, plots and latency figures follow.

All quantities are encoder frames of 20 ms (50 Hz) unless a name says otherwise. This module does not load
torch until a mask is asked for.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any

from xlsrt.errors import UserError
from xlsrt.settings import as_mapping, check_keys, typed

if TYPE_CHECKING:
    import torch

FRAME_MS = 20
"""Length of the hop between encoder frames, in milliseconds."""

WINDOW_TAIL_MS = 5
"""What a frame's window (25 ms) needs beyond its hop (20 ms), in milliseconds."""

_ALL = "all"
_EXAMPLE = "{chunk_ms: 640, left_ms: 1280}"


def whole(name: str, value: Any, least: int, of: str = "20 ms frames") -> int:
    """``value`` as a plain int: whatever Python counts with, numpy's whole numbers too, but no bool.

    Raises:
        UserError: it is something else, or below ``least``; ``name`` says which, ``of`` what it counts.
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise UserError(f"{name} must be a whole number of {of}, not {value!r}")
    if found < least:
        raise UserError(f"{name} must be at least {least}, not {found}")
    return found


def _frames_from_ms(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Real) or value != value:
        raise UserError(f"{name} must be a number of milliseconds (a multiple of {FRAME_MS}), not {value!r}")
    frames = float(value) / FRAME_MS
    if not math.isfinite(frames) or frames != int(frames):
        near = f"; nearest: {round(frames) * FRAME_MS}" if math.isfinite(frames) and frames > 0.5 else ""
        raise UserError(f"{name} must be a multiple of {FRAME_MS} (one encoder frame), not {value!r}{near}")
    if frames < least:
        raise UserError(f"{name} must be at least {least * FRAME_MS}, not {value!r}")
    return int(frames)


def _signed(frames: Any) -> Any:
    """As 64 bits with a sign: sums and differences of few bits, or of unsigned ones, wrap without a word."""
    return frames.astype("int64") if hasattr(frames, "astype") else getattr(frames, "long", lambda: frames)()


def rule(q: Any, k: Any, chunk: Any, left: Any | None, sinks: Any) -> Any:
    """`AttentionContext.visible` on plain numbers, arrays or tensors: the one place to say who sees whom."""
    start = q // chunk * chunk
    known = k < start + chunk
    if left is None:
        return known & (q == q)
    return known & ((k >= start - left) | (k < sinks))


@dataclass(frozen=True)
class AttentionContext:
    """Chunked attention with bounded left context and attention sinks (XLSR-Transducer, arXiv 2407.04439).

    Query ``q`` in chunk ``c = q // chunk_frames`` sees key ``k`` iff ``k < (c + 1) * chunk_frames`` and
    (``k >= c * chunk_frames - left_frames`` or ``k < sink_frames``).

    chunk_frames: frames that see each other and leave together, >= 1; None = full attention (everything sees
        everything)
    left_frames: frames seen before the own chunk, >= 0; None = all the past
    sink_frames: first frames of the stream that stay visible for ever, >= 0
    """

    chunk_frames: int | None = None
    left_frames: int | None = None
    sink_frames: int = 0

    def __post_init__(self) -> None:
        for name, least in (("chunk_frames", 1), ("left_frames", 0), ("sink_frames", 0)):
            value = getattr(self, name)
            if value is not None or name == "sink_frames":
                object.__setattr__(self, name, whole(name, value, least))
        if self.chunk_frames is None and (self.left_frames is not None or self.sink_frames):
            raise UserError(
                "full attention (no chunk) sees everything already: leave left_frames at None (all) and "
                f"sink_frames at 0, or give a chunk (got left {self.left_frames}, sinks {self.sink_frames})"
            )

    @classmethod
    def full(cls) -> AttentionContext:
        """Every frame sees every frame: offline recognition."""
        return cls()

    @classmethod
    def from_ms(
        cls, chunk_ms: float | None, left_ms: float | str | None = None, sink_frames: int = 0
    ) -> AttentionContext:
        """From milliseconds (multiples of 20). ``chunk_ms=None``: full attention.

        ``left_ms`` None or "all": all the past.
        """
        chunk = None if chunk_ms in (None, "full") else _frames_from_ms("chunk_ms", chunk_ms, 1)
        left = None if left_ms in (None, _ALL) else _frames_from_ms("left_ms", left_ms, 0)
        return cls(chunk, left, sink_frames)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AttentionContext:
        """From YAML: ``chunk_ms``/``left_ms`` or ``chunk_frames``/``left_frames``, and ``sink_frames``."""
        values = as_mapping(values, "context", _EXAMPLE)
        check_keys(values, ("chunk_ms", "left_ms", "chunk_frames", "left_frames", "sink_frames"), "context")

        def pick(name: str, word: str, least: int) -> int | None:
            in_ms, in_frames = f"{name}_ms", f"{name}_frames"
            if in_ms in values and in_frames in values:
                raise UserError(f"give either {in_ms} or {in_frames} in a context, not both")
            if values.get(in_ms) not in (None, word):
                return _frames_from_ms(in_ms, values[in_ms], least)
            frames = values.get(in_frames)
            return None if frames in (None, word) else frames

        sinks = values.get("sink_frames")
        return cls(pick("chunk", "full", 1), pick("left", _ALL, 0), 0 if sinks is None else sinks)

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`, in milliseconds, ready for YAML."""
        return {
            "chunk_ms": None if self.chunk_frames is None else self.chunk_frames * FRAME_MS,
            "left_ms": _ALL if self.left_frames is None else self.left_frames * FRAME_MS,
            "sink_frames": self.sink_frames,
        }

    @property
    def is_full(self) -> bool:
        """True for full attention: nothing is known before the end of the audio."""
        return self.chunk_frames is None

    @property
    def cache_frames(self) -> int | None:
        """Most frames that a stream keeps between chunks, sinks and left; None where that grows with it."""
        if self.chunk_frames is None or self.left_frames is None:
            return None
        return self.sink_frames + self.left_frames

    @property
    def algorithmic_latency_ms(self) -> float:
        """Longest wait from the start of a frame to the moment its chunk can be computed.

        Infinite in full attention.
        """
        if self.chunk_frames is None:
            return math.inf
        return float(self.chunk_frames * FRAME_MS + WINDOW_TAIL_MS)

    def visible(self, q: Any, k: Any) -> Any:
        """Whether query frame ``q`` sees key frame ``k``: ints, or arrays or tensors that broadcast."""
        if self.chunk_frames is None:
            return (q == q) & (k == k)
        return rule(_signed(q), _signed(k), self.chunk_frames, self.left_frames, self.sink_frames)

    def mask(
        self,
        num_queries: int,
        num_keys: int | None = None,
        first_query: int = 0,
        device: torch.device | str = "cpu",
    ) -> torch.Tensor:
        """Boolean mask (num_queries, num_keys), True = visible, of queries from ``first_query`` on."""
        import torch

        q = torch.arange(first_query, first_query + num_queries, device=device)
        k = torch.arange(num_queries if num_keys is None else num_keys, device=device)
        return self.visible(q[:, None], k[None, :])

    def __str__(self) -> str:
        if self.chunk_frames is None:
            return "full attention"
        left = "all" if self.left_frames is None else f"{self.left_frames * FRAME_MS} ms"
        return f"chunk {self.chunk_frames * FRAME_MS} ms, left {left}, {self.sink_frames} sink frames"


def _choices(name: str, value: Any) -> tuple[Any, ...]:
    """A list of choices, or ``{min, max, multiple}`` written out."""
    if isinstance(value, Mapping):
        if not {"min", "max"} <= set(value) <= {"min", "max", "multiple"}:
            raise UserError(
                f"{name} as a range has the keys min, max and multiple (default 1), not {dict(value)!r}"
            )
        step = whole(f"{name}.multiple", value.get("multiple", 1), 1)
        low, high = whole(f"{name}.min", value["min"], 0), whole(f"{name}.max", value["max"], 0)
        found = tuple(range(-(-low // step) * step, high + 1, step))
        if not found:
            raise UserError(f"{name}: no multiple of {step} lies between {low} and {high}")
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise UserError(f"{name} needs at least one choice")
        return tuple(value)
    return (value,)


def _check_left(value: Any) -> Any:
    if isinstance(value, str) and value != _ALL:
        if value.endswith("x") and value[:-1].isdecimal():
            return value
        raise UserError(f'left must be frames, a multiple of the chunk such as "2x", or "all", not {value!r}')
    return None if value in (None, _ALL) else whole("left", value, 0)


@dataclass(frozen=True)
class ContextSampler:
    """Draws one `AttentionContext` per training batch (multi-chunk training, arXiv 2407.04439 section 3).

    A draw is a pure function of (seed, step, rank): training resumes exactly, and ranks that pass ``rank=0``
    agree.

    chunk_frames: chunk sizes to draw from, in frames
    left: left contexts to draw from: frames, "Nx" (N times the drawn chunk) or None = all
    sink_frames: sink counts to draw from
    full_prob: probability of full attention instead
    per_rank: whether the ranks of a training draw each on its own: more contexts in an update, which then
        takes as long as the dearest
    """

    chunk_frames: tuple[int, ...]
    left: tuple[int | str | None, ...] = (None,)
    sink_frames: tuple[int, ...] = (0,)
    full_prob: float = 0.0
    seed: int = 0
    per_rank: bool = False

    def __post_init__(self) -> None:
        chunks = tuple(whole("chunk_frames", v, 1) for v in _choices("chunk_frames", self.chunk_frames))
        object.__setattr__(self, "chunk_frames", chunks)
        object.__setattr__(self, "left", tuple(_check_left(v) for v in _choices("left", self.left)))
        sinks = tuple(whole("sink_frames", v, 0) for v in _choices("sink_frames", self.sink_frames))
        object.__setattr__(self, "sink_frames", sinks)
        object.__setattr__(self, "full_prob", typed(self.full_prob, int | float, "full_prob"))
        if not 0.0 <= self.full_prob <= 1.0:
            raise UserError(f"full_prob must lie between 0 and 1, not {self.full_prob}")
        object.__setattr__(self, "seed", typed(self.seed, int, "seed"))
        object.__setattr__(self, "per_rank", typed(self.per_rank, bool, "per_rank"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ContextSampler:
        """From YAML: ``{chunk_frames: {min: 16, max: 64, multiple: 8}, left: [1x, all]}`` and the like."""
        values = as_mapping(values, "context sampler")
        check_keys(values, [item.name for item in fields(cls)], "context sampler")
        if "chunk_frames" not in values:
            raise UserError("a context sampler needs chunk_frames: a list, or {min, max, multiple}")
        return cls(**{key: value for key, value in values.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`, ready for YAML."""
        return {
            "chunk_frames": list(self.chunk_frames),
            "left": [_ALL if value is None else value for value in self.left],
            "sink_frames": list(self.sink_frames),
            "full_prob": self.full_prob,
            "seed": self.seed,
            **({"per_rank": True} if self.per_rank else {}),
        }

    def sample(self, step: int, rank: int = 0) -> AttentionContext:
        """The context of training step ``step``; pass a rank only where ranks shall differ."""
        step, rank = whole("step", step, 0, "training steps"), whole("rank", rank, 0, "ranks")
        draw = random.Random(f"{self.seed}/{step}/{rank}")
        if draw.random() < self.full_prob:
            return AttentionContext.full()
        chunk, left = draw.choice(self.chunk_frames), draw.choice(self.left)
        sinks = draw.choice(self.sink_frames)
        if isinstance(left, str):
            left = int(left[:-1]) * chunk
        return AttentionContext(chunk, left, sinks)

    def __str__(self) -> str:
        left = ", ".join(_ALL if value is None else str(value) for value in self.left)
        return (
            f"each batch: chunk of {', '.join(map(str, self.chunk_frames))} frames, left {left}, sinks "
            f"{', '.join(map(str, self.sink_frames))}; full attention with probability {self.full_prob:g}"
        )


def training_context_from_dict(values: Mapping[str, Any]) -> AttentionContext | ContextSampler:
    """A fixed context, or a sampler if there are lists, ranges, ``left``, ``full_prob`` or ``seed``."""
    values = as_mapping(values, "training context", _EXAMPLE)
    many = any(
        isinstance(v, Mapping) or (isinstance(v, Sequence) and not isinstance(v, str))
        for v in values.values()
    )
    if many or {"left", "full_prob", "seed", "per_rank"} & set(values):
        return ContextSampler.from_dict(values)
    return AttentionContext.from_dict(values)
