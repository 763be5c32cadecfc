"""How sure a score is: confidence intervals, and tests of two systems on one set. Utterances are drawn."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xlsrt.errors import UserError

DRAWS = 2000
LEVEL = 0.95
BLOCK = 4_000_000
"""Numbers in memory at a time."""

FEW = 30
"""Below so many utterances the bootstrap and the matched pairs test say little."""


@dataclass(frozen=True)
class Comparison:
    """System a against system b.

    Attributes:
        difference: error rate of a minus that of b, in percent of the reference.
        interval: bootstrap interval of the difference, both systems on the same draws; None as in
            `bootstrap_interval`.
        p: two-sided probability of a difference this large between equal systems (matched pairs); nan where
            the utterances do not tell it.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float


def bootstrap_interval(
    errors: Sequence[int], refs: Sequence[int], draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> tuple[float, float] | None:
    """Interval of an error rate in percent (Bisani and Ney 2004); None of one utterance, or without words.

    Args:
        errors: errors of each utterance. refs: its reference length.
        draws: sets drawn from the utterances with replacement. level: share of them within the interval.
        seed: same seed, same interval.
    """
    _checked(errors, refs)
    if len(refs) < 2 or not any(refs):
        return None
    rates = _drawn_rates(np.asarray(errors), np.asarray(refs), draws, seed)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(
    errors_a: Sequence[int],
    errors_b: Sequence[int],
    refs: Sequence[int],
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Paired bootstrap and matched pairs test of two systems on the same utterances."""
    if len(errors_a) != len(errors_b):
        raise UserError(f"{len(errors_a)} and {len(errors_b)} utterances: compare systems on one set")
    _checked(errors_a, refs)
    difference = [a - b for a, b in zip(errors_a, errors_b, strict=True)]
    rate = 100.0 * sum(difference) / max(1, sum(refs))
    interval = bootstrap_interval(difference, refs, draws, level, seed)
    return Comparison(rate, interval, matched_pairs(errors_a, errors_b))


def matched_pairs(errors_a: Sequence[int], errors_b: Sequence[int]) -> float:
    """Two-sided p of the matched pairs test (Gillick and Cox 1989), with whole utterances as the segments.

    The paper takes the mean difference of errors, divided by its standard error, for normally distributed,
    which it is for many segments. Here it has Student's distribution with one degree of freedom less than
    there are utterances: the same for many, and for few no smaller p than so few can bear. Still do not trust
    p below `FEW`: the distribution is right where differences are normally distributed, and counts are not.

    Equal errors everywhere give 1. Differences that are all the same, of fewer than `FEW` utterances, have no
    spread to measure them by: nan.
    """
    from scipy.special import stdtr

    difference = np.asarray(errors_a, dtype=float) - np.asarray(errors_b, dtype=float)
    if not difference.any():
        return 1.0
    count = len(difference)
    spread = float(difference.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    if spread == 0:
        return math.nan if count < FEW else 0.0
    return 2 * float(stdtr(count - 1, -abs(float(difference.mean())) / spread))


def _checked(errors: Sequence[int], refs: Sequence[int]) -> None:
    if len(errors) != len(refs) or not len(refs):
        raise UserError(f"{len(errors)} error counts for {len(refs)} utterances: one each, and at least one")


def _drawn_rates(errors: np.ndarray, refs: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(draws,): the error rate in percent of each drawn set."""
    utterances = len(refs)
    # Some sets at a time: how often each of 100,000 utterances is in each of 2,000 sets would be 1.6 GB.
    drawn = _kept if draws * utterances <= BLOCK else _drawn
    blocks = drawn(utterances, draws, seed)
    rates = [100.0 * (counts @ errors) / np.maximum(1, counts @ refs) for counts in blocks]
    return np.concatenate(rates)


def _drawn(utterances: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """(some draws, utterances): how often each utterance is in each drawn set."""
    generator, block = np.random.default_rng(seed), max(1, BLOCK // utterances)
    even = np.full(utterances, 1 / utterances)
    for first in range(0, draws, block):
        yield generator.multinomial(utterances, even, size=min(block, draws - first))


@functools.lru_cache(maxsize=2)
def _kept(utterances: int, draws: int, seed: int) -> list[np.ndarray]:
    """`_drawn` of what fits into memory: each metric and decoding of a set or part asks for them again."""
    return list(_drawn(utterances, draws, seed))


def interval_text(interval: tuple[float, float] | None, form: str = ".1f") -> str:
    """``17.4 to 20.8``, each end in ``form``; ``-`` where there is none."""
    return "-" if interval is None else " to ".join(format(end, form) for end in interval)


def p_text(p: float, sign: str = "") -> str:
    """A probability, ``sign`` in front unless that is "<": one too small for its digits is not nothing.

    ``-`` where it is not known.
    """
    if math.isnan(p):
        return f"{sign}-"
    return f"{sign}{p:.3f}" if p >= 0.001 else "<0.001"


def few_text(utterances: int) -> str:
    """What to mind where there are fewer than `FEW` utterances; nothing for more."""
    if utterances >= FEW:
        return ""
    return f"{utterances} utterances are few: intervals and p are rough, make more recordings"
