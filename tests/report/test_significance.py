from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from xlsrt.errors import UserError
from xlsrt.report.significance import bootstrap_interval, compare, interval_text, matched_pairs, p_text

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
    # The density of Student's distribution with 79 degrees of freedom, summed up beyond z.
    x = np.linspace(abs(z), 60, 400_001)
    scale = math.exp(math.lgamma(40) - math.lgamma(39.5)) / math.sqrt(79 * math.pi)
    density = scale * (1 + x**2 / 79) ** -40
    beyond = float(((density[1:] + density[:-1]) / 2 * np.diff(x)).sum())
    assert matched_pairs(A, B) == pytest.approx(2 * beyond, rel=1e-6)
    assert matched_pairs(A, A) == 1.0


def test_with_many_utterances_it_is_the_normal_distribution_of_the_paper() -> None:
    a, b = A * 500, [*B, *A] * 250
    difference = np.array(a) - np.array(b)
    z = difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference)))
    assert matched_pairs(a, b) == pytest.approx(2 * statistics.NormalDist().cdf(-abs(z)), abs=1e-4)


def test_few_utterances_prove_little() -> None:
    # t of 3.14 with 4 degrees of freedom, from tables: 2.776 is p 0.05, 4.604 is p 0.01.
    assert 0.01 < matched_pairs([3, 1, 2, 1, 4], [1, 1, 0, 0, 1]) < 0.05
    for count, p in ((1, math.nan), (2, math.nan), (29, math.nan), (30, 0.0)):
        assert matched_pairs([2] * count, [1] * count) == pytest.approx(p, nan_ok=True), count
    assert matched_pairs([2], [2]) == 1.0


def test_comparison_of_a_better_and_of_an_equal_system() -> None:
    found = compare(A, B, REFS)
    assert found.difference == pytest.approx(100 * (sum(A) - sum(B)) / sum(REFS))
    assert found.interval and 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.p < 0.01
    equal = compare(A, A, REFS)
    assert (equal.difference, equal.interval, equal.p) == (0, (0, 0), 1)


def test_one_utterance_and_no_words_have_no_interval() -> None:
    for errors, refs in (([2], [1]), ([2, 6], [0, 0])):
        assert bootstrap_interval(errors, refs) is None
        assert compare(errors, [0] * len(refs), refs).interval is None
    assert interval_text(None, "+.2f") == "-" and interval_text((-1.0, 2.5), "+.2f") == "-1.00 to +2.50"


@pytest.mark.parametrize(("utterances", "mean"), [(100, 1.0), (4, 50.0)])
def test_a_false_alarm_is_as_rare_as_it_says(utterances: int, mean: float) -> None:
    generator = np.random.default_rng(3)
    drawn = generator.poisson(mean, size=(400, 2, utterances)).tolist()
    alarms = sum(matched_pairs(*pair) < 0.05 for pair in drawn)
    assert 8 <= alarms <= 34


def test_no_probability_is_said_to_be_nothing() -> None:
    assert [p_text(p) for p in (1.0, 0.2971, 0.001, 0.0009, 0.0)] == [
        "1.000",
        "0.297",
        "0.001",
        "<0.001",
        "<0.001",
    ]
    assert p_text(math.nan) == "-" and p_text(math.nan, "= ") == "= -"


def test_other_numbers_of_utterances() -> None:
    with pytest.raises(UserError, match="2 error counts for 1"):
        bootstrap_interval([1, 2], [3])
    with pytest.raises(UserError, match="compare systems on one set"):
        compare([1], [1, 2], [3])
    with pytest.raises(UserError, match="at least one"):
        bootstrap_interval([], [])
