"""Sections of a configuration file as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from xlsrt.errors import UserError

Settings = TypeVar("Settings")


def read_settings(kind: type[Settings], values: Mapping[str, Any] | None, section: str) -> Settings:
    """Build ``kind`` from the keys of one section; an unknown key or a value of another type is refused."""
    values = dict(values or {})
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise UserError(f"{section}: unknown keys {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    for name, value in values.items():
        wanted = type(known[name])
        # YAML writes 1 for 1.0, and 1e-5 is text to it.
        if wanted is float and isinstance(value, int | str) and not isinstance(value, bool):
            try:
                values[name] = float(value)
            except ValueError:
                raise UserError(f"{section}.{name} is {value!r}; it must be a number") from None
        elif type(value) is not wanted:
            raise UserError(f"{section}.{name} is {value!r}; it must be of type {wanted.__name__}")
    return kind(**values)
