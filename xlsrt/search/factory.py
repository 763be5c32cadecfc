"""Searches by name, as decode configurations spell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xlsrt.errors import UserError
from xlsrt.search.base import Search
from xlsrt.search.beam import BeamSearch
from xlsrt.search.fusion import Function, Fusion, Scorer
from xlsrt.search.greedy import GreedySearch
from xlsrt.search.ngram import Vocabulary, load_ngram
from xlsrt.search.options import (
    FUSION,
    LM_WEIGHT,
    LODR_WEIGHT,
    PHRASE_SCORE,
    check_search,
    is_file_name,
    is_scorer,
)
from xlsrt.search.phrases import load_phrases
from xlsrt.transducer import TransducerHead

_NO_VOCABULARY = "search: lm and phrases need the model's tokens; give search_from_dict the vocabulary"


def search_from_dict(
    values: Mapping[str, Any] | str | None, head: TransducerHead, vocabulary: Vocabulary | None = None
) -> Search:
    """``{"type": "greedy" | "beam", "beam_size": 4, ...}``, or the type alone -> the search on ``head``.

    ``vocabulary``: the head's tokens, for a language model's file or phrases (beam search only).
    """
    given = check_search(values)
    options = {key: value for key, value in given.items() if key not in ("type", *FUSION)}
    if given["type"] == "greedy":
        return GreedySearch(head, **options)
    fusion = _fusion({key: given[key] for key in FUSION if key in given}, head, vocabulary)
    return BeamSearch(head, fusion=fusion, **options)


def _fusion(given: Mapping[str, Any], head: TransducerHead, vocabulary: Vocabulary | None) -> Fusion | None:
    parts: list[tuple[Scorer, float]] = []
    lm, lodr, phrases = (given.get(key) for key in ("lm", "lodr", "phrases"))
    if lm is not None:
        scorer = _scorer("lm", lm, given.get("lm_unit", "token"), vocabulary)
        parts.append((scorer, float(given.get("lm_weight", LM_WEIGHT))))
    if lodr is not None:
        # The transducer has learnt its transcripts too: what it knows of them, to first order, must not count
        # twice (low-order density ratio, arXiv 2203.16776).
        scorer = _scorer("lodr", lodr, "token", vocabulary)
        parts.append((scorer, -float(given.get("lodr_weight", LODR_WEIGHT))))
    if phrases is not None:
        if vocabulary is None:
            raise UserError(_NO_VOCABULARY)
        parts.append((load_phrases(phrases, float(given.get("phrase_score", PHRASE_SCORE)), vocabulary), 1.0))
    if not parts:
        return None
    weight = head.joint.output.weight
    fusion = Fusion(parts, weight.size(0), weight.device)
    if any(isinstance(scorer, Function) for scorer, _ in parts):
        fusion.row(fusion.init())  # told before there is audio where it gives no such rows
    return fusion


def _scorer(key: str, given: Any, unit: str, vocabulary: Vocabulary | None) -> Scorer:
    """A language model: a file of n-grams, an object that is one, or a function of tokens."""
    if is_file_name(given):
        if vocabulary is None:
            raise UserError(_NO_VOCABULARY)
        return load_ngram(given, unit, vocabulary)
    scorer: Scorer = given if is_scorer(given) else Function(given, key)
    return scorer
