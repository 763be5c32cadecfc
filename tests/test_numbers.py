from __future__ import annotations

from typing import Any

import pytest

from xlsrt.numbers import as_number


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ("5e-3", float, 0.005),
        (2, float, 2.0),
        (3.0, int, 3),
        (3, int, 3),
        # What would lose something stays as it is, for its owner to refuse.
        (2.5, int, 2.5),
        ("3", int, "3"),
        (True, float, True),
        (True, int, True),
        ("much", float, "much"),
        (float("inf"), int, float("inf")),
        (None, float, None),
        ([1], float, [1]),
    ],
)
def test_numbers_come_to_their_type_where_nothing_is_lost(value: Any, kind: type, wanted: Any) -> None:
    found = as_number(value, kind)
    assert found == wanted and type(found) is type(wanted)
