"""Searches by name, as decode configurations spell them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.search.base import Search
from xlsrt.search.beam import BeamSearch
from xlsrt.search.fusion import Fusion, Scorer
from xlsrt.search.greedy import GreedySearch
from xlsrt.search.ngram import Vocabulary, load_ngram
from xlsrt.search.options import FUSION, LM_WEIGHT, LODR_WEIGHT, PHRASE_SCORE, check_search
from xlsrt.search.phrases import load_phrases
from xlsrt.transducer import TransducerHead


def search_from_dict(
    values: Mapping[str, Any] | None, head: TransducerHead, vocabulary: Vocabulary | None = None
) -> Search:
    """``{"type": "greedy" | "beam", "beam_size": 4, "max_symbols": 10, ...}`` -> the search on ``head``.

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
    lm, phrases = given.get("lm"), given.get("phrases")
    if (isinstance(lm, (str, Path, zipfile.Path)) or phrases is not None) and vocabulary is None:
        raise UserError(
            "search: lm and phrases need the model's tokens; give search_from_dict the vocabulary"
        )
    if lm is not None:
        if isinstance(lm, (str, Path, zipfile.Path)):
            assert vocabulary is not None
            lm = load_ngram(lm, given.get("lm_unit", "token"), vocabulary)
        elif not all(callable(getattr(lm, name, None)) for name in ("init", "score", "step")):
            raise UserError("search: lm is neither a file nor an object with init(), score() and step()")
        parts.append((lm, float(given.get("lm_weight", LM_WEIGHT))))
    if (lodr := given.get("lodr")) is not None:
        # The transducer has learnt its transcripts too: what it knows of them, to first order, must not count
        # twice (low-order density ratio, arXiv 2203.16776).
        if vocabulary is None:
            raise UserError("search: lodr needs the model's tokens; give search_from_dict the vocabulary")
        parts.append((load_ngram(lodr, "token", vocabulary), -float(given.get("lodr_weight", LODR_WEIGHT))))
    if phrases is not None:
        assert vocabulary is not None
        parts.append((load_phrases(phrases, float(given.get("phrase_score", PHRASE_SCORE)), vocabulary), 1.0))
    if not parts:
        return None
    weight = head.joint.output.weight
    return Fusion(parts, weight.size(0), weight.device)
