from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from xlsrt.report.edits import Counts, align

sequences = st.lists(st.sampled_from("abc"), max_size=8)


def distance(ref: list[str], hyp: list[str]) -> int:
    """Levenshtein distance by its textbook recurrence."""
    row = list(range(len(hyp) + 1))
    for i, r in enumerate(ref, 1):
        previous, row = row, [i]
        for j, h in enumerate(hyp, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (r != h)))
    return row[-1]


@given(sequences, sequences)
def test_alignment_is_minimal_and_spells_both_sides(ref: list[str], hyp: list[str]) -> None:
    alignment = align(ref, hyp)
    assert [r for _, r, _ in alignment.pairs if r is not None] == ref
    assert [h for _, _, h in alignment.pairs if h is not None] == hyp
    assert alignment.counts.errors == distance(ref, hyp)
    assert alignment.counts.ref == len(ref)
    for kind, r, h in alignment.pairs:
        assert kind == ("I" if r is None else "D" if h is None else "C" if r == h else "S")


def test_counts_of_a_known_pair() -> None:
    counts = align(
        ["the", "cat", "sat", "on", "the", "mat"], ["the", "bat", "sat", "the", "mat", "down"]
    ).counts
    assert (counts.corr, counts.sub, counts.dele, counts.ins) == (4, 1, 1, 1)
    assert counts.error_rate == 100 * 3 / 6
    assert counts.sentence_error_rate == 100.0


def test_empty_references() -> None:
    assert align([], []).counts == Counts(utterances=1)
    assert align([], []).counts.error_rate == 0.0
    assert align([], ["a"]).counts.error_rate == float("inf")
    total = align([], ["a"]).counts + align(["b", "c"], ["b", "c"]).counts
    assert total.error_rate == 50.0
    assert total.sentence_error_rate == 50.0


def test_an_utterance_of_an_hour_takes_no_time() -> None:
    ref = [f"w{number % 700}" for number in range(10_000)]
    hyp = [word for number, word in enumerate(ref) if number % 9]
    began = time.process_time()
    counts = align(ref, hyp).counts
    assert counts.dele == len(ref) - len(hyp) and counts.errors == counts.dele
    assert time.process_time() - began < 5
