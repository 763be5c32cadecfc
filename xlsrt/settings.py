"""Settings of any kind as files and callers give them: which keys there are, and the types of their values.

A configuration is a frozen dataclass on `Settings`. Which values make sense is its own to say, in a
``__post_init__`` that calls the base's first.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from numbers import Integral
from types import NoneType, UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from xlsrt.errors import UserError
from xlsrt.numbers import as_number

Kind = TypeVar("Kind", bound="Settings")


def as_mapping(values: Any, where: str, example: str = "", optional: bool = False) -> dict[str, Any]:
    """A section of settings as a dict; None is {} where it is ``optional``.

    Raises:
        UserError: it is something else; ``where`` names it, ``example`` shows one.
    """
    if optional and values is None:
        return {}
    if not isinstance(values, Mapping):
        like = f" such as {example}" if example else " from names to values"
        raise UserError(f"{where} is {values!r}; it must be a mapping{like}")
    return dict(values)


def check_keys(given: Iterable[Any], known: Collection[str], where: str) -> None:
    """Refuse keys that are not ``known``, each with the nearest that is; ``where`` names the settings."""
    unknown = sorted(str(key) for key in given if key not in known)
    if not unknown:
        return
    named = []
    for key in unknown:
        near = difflib.get_close_matches(key, known, n=1)
        named.append(f"{key} (did you mean {near[0]}?)" if near else key)
    keys = "keys" if len(named) > 1 else "key"
    raise UserError(f"{where}: unknown {keys} {', '.join(named)}; known: {', '.join(known)}")


def typed(value: Any, kind: Any, name: str, endless: bool = False) -> Any:
    """``value`` as ``kind``: int, float, bool, str, None, a tuple or a union of them.

    A number becomes what is asked for where nothing is lost (see `as_number`), a list a tuple.

    Raises:
        UserError: it is of another type, or not a number at all; ``name`` is the setting's. ``endless``: it
            may be infinite.
    """
    fits, found = _fitted(value, kind, endless)
    if not fits:
        raise UserError(f"{name} is {value!r}; it must be {_described(kind, endless)}")
    return found


def _fitted(value: Any, kind: Any, endless: bool) -> tuple[bool, Any]:
    """Whether ``value`` is, or becomes, of the ``kind``, and then as what."""
    choices = _choices(kind)
    if isinstance(value, float):  # numpy's floats are floats too
        value = float(value)
    elif isinstance(value, Integral) and not isinstance(value, bool):  # and so are its whole numbers
        value = int(value)
    if type(value) in choices:
        return not isinstance(value, float) or _counts(value, endless), value
    for choice in choices:
        if get_origin(choice) is tuple and isinstance(value, (list, tuple)):
            inner = _inner(choice, len(value))
            items = [_fitted(one, each, endless) for one, each in zip(value, inner, strict=False)]
            if len(inner) == len(value) and all(fits for fits, _ in items):
                return True, tuple(found for _, found in items)
        if choice in (int, float) and type(found := as_number(value, choice)) is choice:
            return choice is int or _counts(found, endless), found
    return False, None


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _inner(kind: Any, length: int) -> tuple[Any, ...]:
    inner = get_args(kind)
    return inner[:1] * length if inner[-1] is Ellipsis else inner


def _counts(value: float, endless: bool) -> bool:
    return math.isfinite(value) or (endless and not math.isnan(value))


def _described(kind: Any, endless: bool) -> str:
    words = {
        int: "a whole number",
        float: "a number" if endless else "a finite number",
        bool: "true or false",
        str: "text",
        NoneType: "null",
    }
    found = []
    for choice in _choices(kind):
        if get_origin(choice) is tuple:
            inner = get_args(choice)
            count = "" if inner[-1] is Ellipsis else f"{len(inner)} "
            found.append(f"a list of {count}{words[inner[0]].removeprefix('a ')}s")
        # Where both will do, a whole number is a number too.
        elif not (choice is int and float in _choices(kind)):
            found.append(words.get(choice) or f"of type {choice.__name__}")
    return " or ".join(found)


def types_of(settings: type[Settings]) -> dict[str, Any]:
    """The annotated type of each field of a class of `Settings`."""
    hints = get_type_hints(settings)
    return {item.name: hints[item.name] for item in fields(settings)}


@dataclass(frozen=True)
class Settings:
    """A configuration that refuses unknown keys and values of a wrong type by name.

    Attributes:
        WHERE: what messages call it: where its keys stand in a file.
        ENDLESS: fields that may be infinite.
    """

    WHERE: ClassVar[str] = "settings"
    ENDLESS: ClassVar[Collection[str]] = ()

    def __post_init__(self) -> None:
        for name, kind in types_of(type(self)).items():
            value = typed(getattr(self, name), kind, f"{self.WHERE}.{name}", name in self.ENDLESS)
            object.__setattr__(self, name, value)

    @classmethod
    def from_dict(cls: type[Kind], values: Mapping[str, Any] | None) -> Kind:
        """Build from field names.

        Raises:
            UserError: an unknown key, a value that is refused, or a field without a default is missing.
        """
        given = as_mapping(values, cls.WHERE, optional=True)
        check_keys(given, list(types_of(cls)), cls.WHERE)
        for item in fields(cls):
            if item.name not in given and item.default is MISSING and item.default_factory is MISSING:
                raise UserError(f"{cls.WHERE}.{item.name} is missing")
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, what `from_dict` reads; tuples as lists, ready for YAML and JSON."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
