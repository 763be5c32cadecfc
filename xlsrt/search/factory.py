"""Searches by name, as decode configurations spell them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.search.base import Search
from xlsrt.search.beam import BeamSearch
from xlsrt.search.fusion import Fusion, Scorer
from xlsrt.search.greedy import GreedySearch
from xlsrt.search.ngram import Vocabulary, load_ngram
from xlsrt.search.phrases import load_phrases
from xlsrt.transducer import TransducerHead

LM_WEIGHT, PHRASE_SCORE = 0.3, 1.0
_FUSION = ("lm", "lm_weight", "lm_unit", "phrases", "phrase_score")
_KEYS = {
    "greedy": ("max_symbols", "window", "blank_penalty"),
    "beam": ("beam_size", "max_symbols", "margin", "length_norm", "window", "blank_penalty", *_FUSION),
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
        way_out = "; that needs type: beam" if set(unknown) <= set(_FUSION) else ""
        raise UserError(
            f"search: {kind} has no {', '.join(unknown)}{way_out}; known: {', '.join(_KEYS[kind])}"
        )
    return given


def search_from_dict(
    values: Mapping[str, Any] | None, head: TransducerHead, vocabulary: Vocabulary | None = None
) -> Search:
    """``{"type": "greedy" | "beam", "beam_size": 4, "max_symbols": 10, ...}`` -> the search on ``head``.

    ``vocabulary``: the head's tokens, for a language model's file or phrases (beam search only).
    """
    given = check_search(values)
    options = {key: value for key, value in given.items() if key not in ("type", *_FUSION)}
    if given["type"] == "greedy":
        return GreedySearch(head, **options)
    fusion = _fusion({key: given[key] for key in _FUSION if key in given}, head, vocabulary)
    return BeamSearch(head, fusion=fusion, **options)


def search_files(values: Mapping[str, Any]) -> list[Path]:
    """The files that a search's settings name; what they hold decides the words too."""
    return [Path(values[key]) for key in ("lm", "phrases") if isinstance(values.get(key), (str, Path))]


def _fusion(given: Mapping[str, Any], head: TransducerHead, vocabulary: Vocabulary | None) -> Fusion | None:
    parts: list[tuple[Scorer, float]] = []
    for key in ("lm_weight", "phrase_score"):
        value = given.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise UserError(f"search: {key} is {value!r}; give a number")
    for key, needs in (("lm_weight", "lm"), ("lm_unit", "lm"), ("phrase_score", "phrases")):
        if key in given and given.get(needs) is None:
            raise UserError(f"search: {key} is for {needs}, which is not given")
    lm, phrases = given.get("lm"), given.get("phrases")
    if (isinstance(lm, (str, Path)) or phrases is not None) and vocabulary is None:
        raise UserError(
            "search: lm and phrases need the model's tokens; give search_from_dict the vocabulary"
        )
    if lm is not None:
        if isinstance(lm, (str, Path)):
            assert vocabulary is not None
            lm = load_ngram(lm, given.get("lm_unit", "token"), vocabulary)
        elif not all(callable(getattr(lm, name, None)) for name in ("init", "score", "step")):
            raise UserError("search: lm is neither a file nor an object with init(), score() and step()")
        parts.append((lm, float(given.get("lm_weight", LM_WEIGHT))))
    if phrases is not None:
        assert vocabulary is not None
        parts.append((load_phrases(phrases, float(given.get("phrase_score", PHRASE_SCORE)), vocabulary), 1.0))
    if not parts:
        return None
    weight = head.joint.output.weight
    return Fusion(parts, weight.size(0), weight.device)
