from __future__ import annotations

import pytest

from xlsrt.report.breakdown import Part, length_group, names, split
from xlsrt.report.significance import bootstrap_interval


@pytest.mark.parametrize(
    ("seconds", "group"),
    [(0.0, "under 2 s"), (2.0, "2 to 5 s"), (9.99, "5 to 10 s"), (29, "10 to 30 s"), (30, "over 30 s")],
)
def test_groups_by_length(seconds: float, group: str) -> None:
    assert length_group(seconds) == group


def test_groups_are_in_order() -> None:
    lengths = {str(s): length_group(s) for s in (40, 3, 1, 12, 6)}
    assert names(lengths) == ["under 2 s", "2 to 5 s", "5 to 10 s", "10 to 30 s", "over 30 s"]
    assert names({"a": "fr", "b": "en", "c": "fr"}) == ["en", "fr"]


def test_parts_have_intervals_where_there_are_utterances_to_draw() -> None:
    figures = {"u1": (4, 1), "u2": (4, 3), "u3": (2, 0), "u4": (3, 3), "u5": (9, 9)}
    groups = {"u1": "en", "u2": "en", "u3": "et", "u4": "en"}
    en, et, fr = split(figures, groups, ["en", "et", "fr"])
    assert en == Part((4, 4, 3), (1, 3, 3)) and en.rate == pytest.approx(700 / 11)
    low, high = bootstrap_interval([1, 3, 3], [4, 4, 3])
    assert en.interval == (low, high) and en.text == f"63.6 ({low:.1f} to {high:.1f})"
    assert (et.interval, et.text, fr.text) == (None, "0.0", "")
    assert Part((0, 0), (1, 0)).text == "inf" and Part((0, 0), (0, 0)).rate == 0.0
