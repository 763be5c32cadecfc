"""The settings of a search as decode configurations spell them, judged without torch or a model."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.settings import as_mapping, check_keys, typed

LM_WEIGHT, LODR_WEIGHT, PHRASE_SCORE = 0.3, 0.3, 1.0
BEAM_SIZE = 4
COMMIT_SECONDS = 1.0
"""For live text: on recordings of minutes words of a beam search were stable after 0.7 s instead of 14.7."""
OWN_LMS = {"lm": ("ngram", "ngram.arpa"), "lodr": ("bigram", "bigram.arpa")}
"""Words that name the n-gram models in the model's own folder, and their files there."""
FUSION = ("lm", "lm_weight", "lm_unit", "lodr", "lodr_weight", "phrases", "phrase_score")
LM_UNITS = ("token", "word")
_SCORER = ("init", "score", "step")
_FILES = {"lm": "language model", "lodr": "bigram model", "phrases": "list of phrases"}
KEYS = {
    "greedy": ("max_symbols", "window", "blank_penalty"),
    "beam": (
        *("beam_size", "max_symbols", "margin", "length_norm", "window", "blank_penalty", "commit_seconds"),
        *FUSION,
    ),
}
_TYPES = {
    **dict.fromkeys(("beam_size", "max_symbols", "window"), int),
    **dict.fromkeys(("margin", "blank_penalty", "lm_weight", "lodr_weight", "phrase_score"), int | float),
    "commit_seconds": int | float | None,
    "length_norm": bool,
}
_NEEDS = {
    "lm_weight": "lm",
    "lm_unit": "lm",
    "lodr": "lm",
    "lodr_weight": "lodr",
    "phrase_score": "phrases",
}


def search_settings(values: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The settings as a dict, not judged yet; a word is the ``type``, None is {}."""
    if isinstance(values, str):
        return {"type": values}
    return as_mapping(
        values, "search", f"{' or '.join(KEYS)}, or {{type: beam, beam_size: 4}}", optional=True
    )


def check_search(values: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The settings as a dict with their ``type``; a word is the type alone, None and {} mean greedy.

    A greedy search has a beam of one: ``beam_size: 1`` is allowed beside it, so that one file serves both.

    Raises:
        UserError: an unknown key, a value of the wrong kind, a file that does not exist, or a setting of
            something that is not given.
    """
    named = search_settings(values)
    given = {"type": "greedy", **named}
    kind = given["type"]
    if not isinstance(kind, str) or kind not in KEYS:
        raise UserError(f"search type {kind!r} is unknown; known: {', '.join(KEYS)}")
    if kind == "greedy" and given.get("beam_size") in (None, 1):
        given.pop("beam_size", None)
    if kind == "greedy" and (beams := sorted(set(KEYS["beam"]).difference(KEYS[kind]).intersection(given))):
        way = (
            "that needs type: beam"
            if "type" in named
            else "without a type it is greedy: write type: beam too"
        )
        raise UserError(f"search: greedy has no {', '.join(beams)}; {way}")
    check_keys(given, ("type", *KEYS[kind]), f"search (type: {kind})")
    for key, value in given.items():
        if key in _TYPES:
            given[key] = typed(value, _TYPES[key], f"search: {key}", endless=key == "margin")
        _check_value(key, given[key])
    for key, needs in _NEEDS.items():
        if key in given and given.get(needs) is None:
            raise UserError(f"search: {key} is for {needs}, which is not given")
    for key, what in _FILES.items():
        for path in search_files({key: given.get(key)}):
            if not path.is_file():
                raise UserError(f"search: the {what} {path} does not exist")
    return given


def search_files(values: Mapping[str, Any]) -> list[Path]:
    """The files that a search's settings name; what they hold decides the words too."""
    own = own_lms(values)
    named = [values.get(key) for key in _FILES if key not in own]
    return [Path(value) for value in named if isinstance(value, (str, Path))]


def own_lms(values: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a search that ask for an n-gram model of the model's own, each with the file's name."""
    return {key: file for key, (word, file) in OWN_LMS.items() if str(values.get(key)) == word}


def _check_value(key: str, value: Any) -> None:
    if _TYPES.get(key) is int and value < 1:
        raise UserError(f"search: {key} is {value!r}; give a whole number from 1 on")
    if key == "margin" and value <= 0:
        raise UserError(f"search: margin is {value!r}; give a number above 0")
    if key == "commit_seconds" and value is not None and value <= 0:
        raise UserError(f"search: commit_seconds is {value!r}; give seconds above 0, or null: never")
    if key == "lm_unit" and value not in LM_UNITS:
        raise UserError(f"search: lm_unit is {value!r}; choose token (n-grams of the model's tokens) or word")
    if key in ("lm", "lodr") and value is not None and not (is_file_name(value) or _is_model(value)):
        raise UserError(
            f"search: {key} is {value!r}, neither a file nor an object with init(), score() and step() nor a "
            f"function of tokens; name an ARPA file, or {OWN_LMS[key][0]}: the model's own"
        )
    if key == "phrases":
        _check_phrases(value)


def is_file_name(value: Any) -> bool:
    """Whether an ``lm`` is a file's name, or a file in a zip."""
    return isinstance(value, (str, Path, zipfile.Path))


def _is_model(value: Any) -> bool:
    """A class is none: it would have to be called first."""
    return not isinstance(value, type) and (is_scorer(value) or callable(value))


def is_scorer(value: Any) -> bool:
    """Whether an ``lm`` is an `xlsrt.search.fusion.Scorer` by its methods."""
    return all(callable(getattr(value, name, None)) for name in _SCORER)


def _check_phrases(value: Any) -> None:
    """A file, or phrases. YAML reads some words (42, no, on) as something else."""
    if value is None or isinstance(value, (str, Path)):
        return
    if not isinstance(value, (list, tuple)):
        raise UserError(f"search: phrases is {value!r}; name a file with one a line, or list them")
    for phrase in value:
        if not isinstance(phrase, str):
            raise UserError(f"search: phrases has {phrase!r}, which is no text; put it in quotes")
