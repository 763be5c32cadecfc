"""Numbers of settings, as YAML and callers write them."""

from __future__ import annotations

import contextlib
from typing import Any


def as_number(value: Any, kind: type) -> Any:
    """``value`` as ``kind`` (int or float) where nothing is lost, else as it is: YAML reads 5e-3 as text."""
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
