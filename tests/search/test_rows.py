"""Kept rows: those computed, whatever has been forgotten meanwhile."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlsrt.search.rows import RowCache


def test_rows_that_were_not_used_for_long_are_forgotten():
    asked = []

    def compute(state):
        asked.append(state)
        return torch.full((3,), float(state))

    rows = RowCache(compute, max_rows=2)
    for state in (1, 2, 1, 3, 1, 2):
        assert rows(state).tolist() == [state] * 3
    assert asked == [1, 2, 3, 2]
    rows, asked[:] = RowCache(compute, max_bytes=24), []
    for state in (1, 2, 3, 3, 2, 1):
        rows(state)
    assert asked == [1, 2, 3, 1]


@settings(max_examples=30)
@given(st.data())
def test_rows_of_a_table_are_those_computed(data):
    """Asked for one by one or together, more than the table holds or fewer, computed from each other."""
    rows = RowCache(lambda state: rows(state // 2) + state if state else torch.zeros(3), max_rows=4)
    wanted = {0: 0.0}
    for state in range(1, 40):
        wanted[state] = wanted[state // 2] + state
    for states in data.draw(st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=7), max_size=9)):
        kept = rows(states[0])
        found = rows.stacked(states)
        assert found.tolist() == [[wanted[state]] * 3 for state in states]
        assert kept.tolist() == [wanted[states[0]]] * 3


def test_rows_kept_in_inference_mode_are_of_use_outside():
    rows = RowCache(lambda state: torch.full((3,), float(state)), max_rows=2)
    with torch.inference_mode():
        assert rows(1).tolist() == [1.0] * 3
    assert rows.stacked([1, 2, 3]).tolist() == [[1.0] * 3, [2.0] * 3, [3.0] * 3]
    assert rows(3).tolist() == [3.0] * 3
