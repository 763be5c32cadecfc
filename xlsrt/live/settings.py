"""Context, search and endpoint rules: options go before a decode configuration, that before the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recognizer.endpoint import EndpointRules
from xlsrt.search.options import COMMIT_SECONDS, KEYS


def chosen_context(
    chunk_ms: str | None, left_ms: str | None, sink_frames: int | None, given: DecodeConfig | None
) -> dict[str, Any] | AttentionContext | None:
    """The context that options or a configuration name, or None for the model's own.

    Args:
        chunk_ms: milliseconds or "full". left_ms: milliseconds or "all". given: the configuration.

    Raises:
        UserError: an option is neither.
    """
    if chunk_ms is None:
        return given.context if given and "context" in given.named else None
    values: dict[str, Any] = {"chunk_ms": chunk_ms, "left_ms": left_ms or "all"}
    for key, word in (("chunk_ms", "full"), ("left_ms", "all")):
        if values[key].isdigit():
            values[key] = int(values[key])
        elif values[key] != word:
            raise UserError(f"--{key} is {values[key]!r}; give milliseconds or {word!r}")
    return {**values, "sink_frames": sink_frames or 0}


def chosen_search(
    kind: str | None,
    beam_size: int | None,
    fusion: Mapping[str, Any],
    given: DecodeConfig | None,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """The search that options name, over the settings of a configuration or else the model's own.

    Args:
        kind: greedy or beam. fusion: settings of language models and phrases. given: the configuration.
    """
    values = dict(fusion)
    if beam_size is not None:
        values["beam_size"] = beam_size
    base = dict(given.search if given and "search" in given.named else own)
    kind = kind or ("beam" if values else base.get("type", "greedy"))
    if kind == "greedy":
        base = {key: value for key, value in base.items() if key in KEYS["greedy"]}
    else:
        base.setdefault("commit_seconds", COMMIT_SECONDS)
    return {**base, **values, "type": kind}


def chosen_endpoint(
    trailing_silence: float | None,
    max_seconds: float | None,
    restart_encoder: bool | None,
    given: DecodeConfig | None,
) -> EndpointRules | None:
    """The endpoint rules that options name, over those of a configuration.

    Raises:
        UserError: ``restart_encoder`` says what to do at endpoints, and there are none.
    """
    values = asdict(given.endpoint) if given and given.endpoint else {}
    if trailing_silence is not None or max_seconds is not None:
        times = {"trailing_silence": trailing_silence, "max_seconds": max_seconds}
        values = {"restart_encoder": True, **values, **times}
    if restart_encoder is not None and not values:
        raise UserError("--restart_encoder is for an endpoint: add --endpoint or --max_segment")
    if restart_encoder is not None:
        values["restart_encoder"] = restart_encoder
    return EndpointRules.from_dict(values) if values else None
