"""Short names of models and decodings, for tables and legends that must fit a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from xlsrt.context import AttentionContext
from xlsrt.report.decodings import Decoded

_STAGE = re.compile(r"(?P<family>.+)_stage(?P<variant>\d[a-z]?)")
_MODEL_FILE = re.compile(r"_(valid\..*|latest)$")


def short_names(decoded: Iterable[Decoded]) -> dict[Path, tuple[str, str]]:
    """Names of (model, decoding) by path: the shortest that still tell all of them apart."""
    sets = list(decoded)
    models = _short({d.model for d in sets}, _variant)
    decodings = _short({d.decoding for d in sets}, _plain)
    return {d.path: (models[d.model], decodings[d.decoding]) for d in sets}


def search_names(decoded: Iterable[Decoded]) -> dict[Path, str]:
    """The search of each by path, such as ``greedy`` or ``beam 8, LM``; "" where all have the same.

    Searches that these words would not tell apart are named by all their settings.
    """
    searches = {d.path: d.facts.get("search") or {} for d in decoded}
    whole = {path: ", ".join(f"{k} {v}" for k, v in search.items()) for path, search in searches.items()}
    if len(set(whole.values())) < 2:
        return dict.fromkeys(whole, "")
    brief = {path: _search(search) for path, search in searches.items()}
    return brief if len(set(brief.values())) == len(set(whole.values())) else whole


def context_name(context: AttentionContext | None) -> str:
    """``640 ms, left 1280 ms, 16 sinks``; ``offline`` in full attention."""
    if context is None:
        return ""
    if context.chunk_frames is None:
        return "offline"
    left = "all" if context.left_frames is None else f"{20 * context.left_frames} ms"
    sinks = f", {context.sink_frames} sinks" if context.sink_frames else ""
    return f"{20 * context.chunk_frames} ms, left {left}{sinks}"


def _short(names: set[str], shorten: Callable[[str], str]) -> dict[str, str]:
    shorter = {name: shorten(name) for name in names}
    return shorter if len(set(shorter.values())) == len(names) else {name: name for name in names}


def _variant(model: str) -> str:
    match = _STAGE.fullmatch(model)
    return match["variant"] if match else model


def _plain(decoding: str) -> str:
    return _MODEL_FILE.sub("", decoding.removeprefix("decode_").removeprefix("inference_"))


def _search(search: Mapping[str, Any]) -> str:
    kind = " ".join(str(search[key]) for key in ("type", "beam_size") if key in search)
    return ", ".join([kind, *(name for key, name in (("lm", "LM"), ("phrases", "phrases")) if key in search)])
