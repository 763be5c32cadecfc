"""Where words begin and end between the few frames in which a CTC head says their tokens.

CTC says a token in one or two frames, somewhere inside of what was said: first tokens come too late, and last
ones end too early, by as much as a token lasts. So a pause that can be heard ends a word and begins the next;
words without one between them share the frames between their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xlsrt.units import HOP

# Chosen on the dev set of the built-in corpus.
PAUSE_FRAMES = 5
"""So many quiet frames in a row (100 ms) are a pause: the closure of a plosive is shorter."""
QUIET_SHARE = 0.45
"""Below this share of the way from a recording's quietest to its loudest frames, in dB, it is quiet."""
LEAST_CONTRAST_DB = 10.0
"""With less between the two, quiet cannot be told from speech."""


@dataclass(frozen=True)
class WordFrames:
    """A word's tokens: frames ``first`` to ``last`` (not included), letters of its first and last token."""

    first: int
    last: int
    first_letters: int = 1
    last_letters: int = 1


def quiet_frames(samples: np.ndarray, frames: int) -> np.ndarray:
    """(T,) bool: which frames of ``samples`` (S,) are quiet beside the rest."""
    if not frames:
        return np.zeros(0, dtype=bool)
    middle = samples[40 : 40 + HOP * frames]  # of the 400 samples that a frame sees, the 320 in their middle
    middle = np.pad(middle, (0, HOP * frames - len(middle))).reshape(frames, HOP).astype(np.float32)
    decibels = 10 * np.log10(np.einsum("ts,ts->t", middle, middle) / HOP + 1e-10)
    low, high = np.percentile(decibels, (5, 95))
    if high - low < LEAST_CONTRAST_DB:
        return np.zeros(frames, dtype=bool)
    return np.asarray(decibels < low + QUIET_SHARE * (high - low))


def word_bounds(words: Sequence[WordFrames], quiet: np.ndarray) -> list[tuple[float, float]]:
    """First and last frame of each word, as fractions where words share frames; words never overlap.

    Args:
        words: in their order. quiet: (T,) bool.
    """
    starts, ends = [float(word.first) for word in words], [float(word.last) for word in words]
    fall: float
    rise: float
    for number in range(len(words) + 1):
        begin = words[number - 1].last if number else 0
        end = words[number].first if number < len(words) else len(quiet)
        pauses = _pauses(quiet, begin, end)
        # At the ends of a recording there is nobody to share with: a word gets what a token may last.
        fall, rise = min(begin + PAUSE_FRAMES, end), max(end - PAUSE_FRAMES, begin)
        if pauses:
            fall, rise = pauses[0][0], pauses[-1][1]
        elif 0 < number < len(words):
            before, after = words[number - 1].last_letters, words[number].first_letters
            fall = rise = begin + (end - begin) * before / (before + after)
        if number:
            ends[number - 1] = fall
        if number < len(words):
            starts[number] = rise
    return list(zip(starts, ends, strict=True))


def _pauses(quiet: np.ndarray, begin: int, end: int) -> list[tuple[int, int]]:
    """Runs of `PAUSE_FRAMES` quiet frames or more between two frames; at the recording's ends of fewer."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet[begin:end].astype(np.int8), [0]))))
    runs = [(int(a) + begin, int(b) + begin) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in runs if b - a >= PAUSE_FRAMES or a == 0 or b == len(quiet)]
