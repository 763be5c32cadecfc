from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from xlsrt.errors import UserError
from xlsrt.report.significance import bootstrap_interval, compare, matched_pairs, p_text

GENERATOR = np.random.default_rng(7)
REFS = GENERATOR.integers(3, 20, size=80).tolist()
A = GENERATOR.integers(0, 4, size=80).tolist()
B = [max(0, a - int(better)) for a, better in zip(A, GENERATOR.random(80) < 0.25, strict=True)]


def test_interval_equals_a_direct_computation() -> None:
    """Sets drawn one by one: the two estimates of the interval's ends agree within their own noise."""
    generator = np.random.default_rng(123)
    rates = []
    for _ in range(4000):
        drawn = generator.integers(0, len(REFS), size=len(REFS))
        rates.append(100 * sum(A[i] for i in drawn) / sum(REFS[i] for i in drawn))
    expected = np.quantile(rates, [0.025, 0.975])
    assert bootstrap_interval(A, REFS, draws=4000) == pytest.approx(expected, abs=0.35)


def test_interval_is_reproducible_and_shrinks_with_more_utterances() -> None:
    assert bootstrap_interval(A, REFS) == bootstrap_interval(A, REFS)
    low, high = bootstrap_interval(A, REFS)
    many_low, many_high = bootstrap_interval(A * 16, REFS * 16)
    assert many_high - many_low < 0.4 * (high - low)
    assert bootstrap_interval([1, 1], [4, 4]) == (25.0, 25.0)


@pytest.mark.parametrize("block", [1, 81, 1000])
def test_many_utterances_are_drawn_in_parts(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_interval(A, REFS, draws=50), compare(A, B, REFS, draws=50)
    monkeypatch.setattr("xlsrt.report.significance.BLOCK", block)
    assert (bootstrap_interval(A, REFS, draws=50), compare(A, B, REFS, draws=50)) == whole


def test_matched_pairs_equals_its_formula() -> None:
    difference = [a - b for a, b in zip(A, B, strict=True)]
    z = statistics.fmean(difference) / (statistics.stdev(difference) / math.sqrt(len(difference)))
    assert matched_pairs(A, B) == pytest.approx(2 * (1 - statistics.NormalDist().cdf(abs(z))), abs=1e-12)
    assert matched_pairs(A, A) == 1.0
    assert matched_pairs([2, 3], [1, 2]) == 0.0


def test_comparison_of_a_better_and_of_an_equal_system() -> None:
    found = compare(A, B, REFS)
    assert found.difference == pytest.approx(100 * (sum(A) - sum(B)) / sum(REFS))
    assert 0 < found.low < found.difference < found.high and found.p < 0.01
    equal = compare(A, A, REFS)
    assert (equal.difference, equal.low, equal.high, equal.p) == (0, 0, 0, 1)


def test_a_false_alarm_is_as_rare_as_it_says() -> None:
    generator = np.random.default_rng(3)
    alarms = sum(matched_pairs(*generator.poisson(1.0, size=(2, 100)).tolist()) < 0.05 for _ in range(400))
    assert 8 <= alarms <= 34


def test_no_probability_is_said_to_be_nothing() -> None:
    assert [p_text(p) for p in (1.0, 0.2971, 0.001, 0.0009, 0.0)] == [
        "1.000",
        "0.297",
        "0.001",
        "<0.001",
        "<0.001",
    ]


def test_other_numbers_of_utterances() -> None:
    with pytest.raises(UserError, match="2 error counts for 1"):
        bootstrap_interval([1, 2], [3])
    with pytest.raises(UserError, match="compare systems on one set"):
        compare([1], [1, 2], [3])
    with pytest.raises(UserError, match="at least one"):
        bootstrap_interval([], [])
