"""Attention contexts as pictures and figures, all derived from `AttentionContext.visible`.

Frames are encoder frames of 20 ms. In every picture row q is a query, column k a key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError

Colour = tuple[int, int, int]

HIDDEN: Colour = (255, 255, 255)
PAST: Colour = (120, 168, 216)
CHUNK: Colour = (31, 78, 140)
SINK: Colour = (224, 122, 60)
NAMES = {"own chunk": CHUNK, "past": PAST, "sinks": SINK}


@dataclass(frozen=True)
class Named:
    """A context and what to call it."""

    name: str
    context: AttentionContext


def stage_contexts() -> list[Named]:
    """The contexts of the five training stages' default path, and of the ablation that keeps all the past."""
    return [
        Named("1: full attention", AttentionContext.full()),
        Named("2b: chunks of 640 ms", AttentionContext(32, 0, 0)),
        Named("3c: and all the past", AttentionContext(32, None, 0)),
        Named("3b: and 1280 ms of the past", AttentionContext(32, 64, 0)),
        Named("5b: 640 ms of the past, 16 sinks", AttentionContext(32, 32, 16)),
    ]


def visible(context: AttentionContext, frames: int) -> np.ndarray:
    """(frames, frames) bool: whether query q (row) sees key k (column)."""
    index = np.arange(frames)
    return np.broadcast_to(context.visible(index[:, None], index[None, :]), (frames, frames))


def picture(context: AttentionContext, frames: int) -> np.ndarray:
    """(frames, frames, 3) uint8, one pixel for one (query, key): `HIDDEN`, `CHUNK`, `SINK` or `PAST`.

    A sink is coloured as such only where the left context alone would not show it.
    """
    seen = visible(context, frames)
    index = np.arange(frames)
    pixels = np.full((frames, frames, 3), HIDDEN, dtype=np.uint8)
    pixels[seen] = PAST
    if context.sink_frames:
        unsunk = AttentionContext(context.chunk_frames, context.left_frames, 0)
        pixels[seen & ~visible(unsunk, frames)] = SINK
    if context.chunk_frames is None:
        pixels[seen] = CHUNK
    else:
        chunks = index // context.chunk_frames
        pixels[seen & (chunks[:, None] == chunks[None, :])] = CHUNK
    return pixels


def density(context: AttentionContext, frames: int) -> float:
    """Share of all (query, key) pairs that are connected, in an utterance of so many frames."""
    return float(keys_per_query(context, frames).sum()) / max(1, frames * frames)


def keys_per_query(context: AttentionContext, frames: int) -> np.ndarray:
    """(frames,) int: how many keys each query sees. Needs memory for one chunk's row, not for the square."""
    size = frames if context.chunk_frames is None else context.chunk_frames
    keys = np.arange(frames)
    counts = np.empty(frames, dtype=np.int64)
    for start in range(0, frames, max(1, size)):
        # All queries of a chunk see the same keys: the rule depends on q through its chunk alone.
        counts[start : start + size] = np.count_nonzero(np.broadcast_to(context.visible(start, keys), frames))
    return counts


def held_frames(context: AttentionContext, frames: int) -> int:
    """Most frames whose keys and values are needed at once during so much audio."""
    return int(keys_per_query(context, frames).max(initial=0))


def parse_context(text: str) -> Named:
    """``full`` or ``<chunk ms>,<left ms or all>,<sink frames>``, as on command lines."""
    if text == "full":
        return Named("full attention", AttentionContext.full())
    fields = text.split(",")
    try:
        chunk = float(fields[0])
        left = None if fields[1] == "all" else float(fields[1])
        sinks = int(fields[2]) if len(fields) == 3 else 0
    except (ValueError, IndexError):
        fields = []
    if not 2 <= len(fields) <= 3:
        raise UserError(
            f"--context {text}: write full, or chunk ms, left ms or all, sink frames: 640,1280,16"
        )
    context = AttentionContext.from_ms(chunk, left, sinks)
    return Named(str(context), context)
