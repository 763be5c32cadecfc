"""How sure a score is: confidence intervals, and tests of two systems on one set. Utterances are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xlsrt.errors import UserError

DRAWS = 2000
LEVEL = 0.95
BLOCK = 4_000_000
"""Numbers in memory at a time."""


@dataclass(frozen=True)
class Comparison:
    """System a against system b.

    Attributes:
        difference: error rate of a minus that of b, in percent of the reference.
        low, high: bootstrap interval of the difference, both systems on the same draws.
        p: two-sided probability of a difference this large between equal systems (matched pairs).
    """

    difference: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    errors: Sequence[int], refs: Sequence[int], draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """Interval of an error rate in percent (Bisani and Ney 2004).

    Args:
        errors: errors of each utterance. refs: its reference length.
        draws: sets drawn from the utterances with replacement. level: share of them within the interval.
        seed: same seed, same interval.
    """
    rates = _drawn_rates(np.asarray(_checked(errors, refs)), np.asarray(refs), draws, seed)
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
    difference = np.asarray(_checked(errors_a, refs)) - np.asarray(errors_b)
    lengths = np.asarray(refs)
    rates = _drawn_rates(difference, lengths, draws, seed)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    rate = 100.0 * float(difference.sum()) / max(1, int(lengths.sum()))
    return Comparison(rate, float(low), float(high), matched_pairs(errors_a, errors_b))


def matched_pairs(errors_a: Sequence[int], errors_b: Sequence[int]) -> float:
    """Two-sided p of the matched pairs test (Gillick and Cox 1989), with whole utterances as the segments.

    The mean difference of errors is normally distributed for many utterances: below about 30 do not trust p.
    Equal errors everywhere give 1.
    """
    difference = np.asarray(errors_a, dtype=float) - np.asarray(errors_b, dtype=float)
    if len(difference) < 2 or not difference.any():
        return 1.0
    spread = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    if spread == 0:
        return 0.0
    return math.erfc(abs(float(difference.mean())) / spread / math.sqrt(2))


def _checked(errors: Sequence[int], refs: Sequence[int]) -> Sequence[int]:
    if len(errors) != len(refs) or not len(refs):
        raise UserError(f"{len(errors)} error counts for {len(refs)} utterances: one each, and at least one")
    return errors


def _drawn_rates(errors: np.ndarray, refs: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(draws,): the error rate in percent of each drawn set."""
    generator, utterances = np.random.default_rng(seed), len(refs)
    rates = []
    # Some sets at a time: how often each of 100,000 utterances is in each of 2,000 sets would be 1.6 GB.
    for first in range(0, draws, block := max(1, BLOCK // utterances)):
        even = np.full(utterances, 1 / utterances)
        counts = generator.multinomial(utterances, even, size=min(block, draws - first))
        rates.append(100.0 * (counts @ errors) / np.maximum(1, counts @ refs))
    return np.concatenate(rates)


def p_text(p: float, sign: str = "") -> str:
    """A probability, ``sign`` in front unless that is "<": one too small for its digits is not nothing."""
    return f"{sign}{p:.3f}" if p >= 0.001 else "<0.001"
