from __future__ import annotations

import pytest

from xlsrt.report.breakdown import length_group, names


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
