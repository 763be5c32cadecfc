"""Searches by name, as decode configurations spell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xlsrt.errors import UserError
from xlsrt.search.base import Search
from xlsrt.search.beam import BeamSearch
from xlsrt.search.greedy import GreedySearch
from xlsrt.transducer import TransducerHead

_KEYS = {
    "greedy": {"max_symbols": "max_symbols", "window": "window", "blank_penalty": "blank_penalty"},
    "beam": {
        "beam_size": "beam_size",
        "max_symbols": "max_symbols",
        "margin": "margin",
        "length_norm": "length_norm",
        "window": "window",
        "blank_penalty": "blank_penalty",
    },
}


def check_search(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings as a dict with their ``type``, checked by name; None and {} mean greedy.

    A greedy search has a beam of one: ``beam_size: 1`` is allowed beside it, so that one file serves both.
    """
    given = {"type": "greedy", **(values or {})}
    kind = given["type"]
    if kind not in _KEYS:
        raise UserError(f"search type {kind!r} is unknown; known: {', '.join(_KEYS)}")
    if kind == "greedy" and given.get("beam_size") in (None, 1):
        given.pop("beam_size", None)
    unknown = sorted(set(given) - set(_KEYS[kind]) - {"type"})
    if unknown:
        raise UserError(f"search: {kind} has no {', '.join(unknown)}; known: {', '.join(_KEYS[kind])}")
    return given


def search_from_dict(values: Mapping[str, Any] | None, head: TransducerHead) -> Search:
    """``{"type": "greedy" | "beam", "beam_size": 4, "max_symbols": 10, ...}`` -> the search on ``head``."""
    given = check_search(values)
    options = {_KEYS[given["type"]][key]: value for key, value in given.items() if key != "type"}
    return GreedySearch(head, **options) if given["type"] == "greedy" else BeamSearch(head, **options)
