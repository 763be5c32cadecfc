"""Settings of any kind: keys are known, values are of their types, and what is wrong is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from xlsrt.errors import UserError
from xlsrt.settings import Settings, as_mapping, check_keys, typed


@dataclass(frozen=True)
class Inner(Settings):
    width: int = 1


@dataclass(frozen=True)
class Example(Settings):
    WHERE = "model_conf.example"
    ENDLESS = ("limit",)

    size: int
    rate: float = 0.1
    limit: float = 1.0
    name: str = "x"
    on: bool = False
    pause: float | None = None
    seconds: int | float = 1
    sizes: tuple[int, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise UserError(f"model_conf.example.size is {self.size}")


def test_values_come_to_their_types() -> None:
    found = Example.from_dict(
        {"size": 3.0, "rate": "5e-3", "limit": "inf", "pause": 2, "seconds": "7", "sizes": [1, 2.0]}
    )
    assert found == Example(3, 0.005, float("inf"), pause=2.0, seconds=7.0, sizes=(1, 2))
    assert [type(v) for v in (found.size, found.pause, found.seconds)] == [int, float, float]
    assert type(Example(3, seconds=7).seconds) is int  # where both will do, it stays what it is
    assert found.to_dict()["sizes"] == [1, 2] and found.to_dict()["pair"] == [0.0, 1.0]
    assert Example.from_dict({**found.to_dict(), "inner": Inner()}) == found
    assert Inner.from_dict(None) == Inner()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"size": "big"}, "size is 'big'; it must be a whole number"),
        ({"size": 2.5}, "size is 2.5; it must be a whole number"),
        ({"size": True}, "size is True; it must be a whole number"),
        ({"size": None}, "size is None; it must be a whole number"),
        ({"size": 0}, "size is 0"),
        ({"rate": "much"}, "rate is 'much'; it must be a finite number"),
        ({"rate": float("inf")}, "rate is inf; it must be a finite number"),
        ({"limit": "nan"}, "limit is 'nan'; it must be a number"),
        ({"name": 3}, "name is 3; it must be text"),
        ({"on": 1}, "on is 1; it must be true or false"),
        ({"pause": "long"}, "pause is 'long'; it must be a finite number or null"),
        ({"seconds": []}, r"seconds is \[\]; it must be a finite number"),
        ({"sizes": 3}, "sizes is 3; it must be a list of whole numbers"),
        ({"sizes": [1, "2"]}, "sizes is .*; it must be a list of whole numbers"),
        ({"pair": [1]}, r"pair is \[1\]; it must be a list of 2 finite numbers"),
        ({"pair": "ab"}, "pair is 'ab'; it must be a list of 2"),
        ({"inner": {}}, r"inner is \{\}; it must be of type Inner"),
        ({"sise": 3}, r": unknown key sise \(did you mean size\?\); known: size, rate, limit"),
        ({"zzz": 3, 1: 2}, r": unknown keys 1, zzz; known: size"),
    ],
)
def test_what_is_wrong_is_named(values: dict[Any, Any], says: str) -> None:
    with pytest.raises(UserError, match=rf"^model_conf\.example\.?{says}"):
        Example.from_dict({"size": 1, **values})
    if "unknown" not in says:
        with pytest.raises(UserError, match=rf"^model_conf\.example\.{says}"):
            Example(**{"size": 1, **values})


def test_a_missing_field_and_what_is_no_section() -> None:
    with pytest.raises(UserError, match=r"^model_conf\.example\.size is missing$"):
        Example.from_dict({"rate": 1})
    for wrong in (3, "size", [("size", 3)]):
        with pytest.raises(UserError, match=r"^model_conf\.example is .*; it must be a mapping"):
            Example.from_dict(wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^x is None; it must be a mapping such as \{a: 1\}$"):
        as_mapping(None, "x", "{a: 1}")
    assert as_mapping(None, "x", optional=True) == {}


def test_single_values_and_keys() -> None:
    assert typed("1e-3", float, "x") == 0.001 and typed(None, str | None, "x") is None
    for value in (np.int64(3), np.uint8(3)):
        assert type(typed(value, int, "x")) is int and type(typed(value, int | float, "x")) is int
    with pytest.raises(UserError, match=r"x is .*True.*; it must be a whole number"):
        typed(np.True_, int, "x")
    check_keys({"a": 1}, ("a", "b"), "x")
    with pytest.raises(UserError, match=r"^x: unknown key aa \(did you mean a\?\); known: a, b$"):
        check_keys(["aa"], ("a", "b"), "x")
