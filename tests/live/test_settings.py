"""What options name goes before a configuration, and that before the model's own."""

from __future__ import annotations

import pytest

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.live.settings import chosen_context, chosen_endpoint, chosen_search

GIVEN = DecodeConfig.from_dict(
    {
        "context": {"chunk_ms": 320, "left_ms": 640},
        "search": {"type": "beam", "beam_size": 2},
        "endpoint": {"trailing_silence": 0.7},
    }
)
NOTHING = DecodeConfig.from_dict({"mode": "masked"})


def test_contexts() -> None:
    assert chosen_context(None, None, None, None) is None
    assert chosen_context(None, None, None, NOTHING) is None
    assert chosen_context(None, None, None, GIVEN) == AttentionContext(16, 32)
    assert chosen_context("640", None, 4, GIVEN) == {"chunk_ms": 640, "left_ms": "all", "sink_frames": 4}
    with pytest.raises(UserError, match="--left_ms is '-3'; give milliseconds or 'all'"):
        chosen_context("640", "-3", None, None)


def test_beams_for_live_text_settle_their_words_unless_told_otherwise() -> None:
    assert chosen_search("beam", None, {}, None, {}) == {"type": "beam", "commit_seconds": 1.0}
    own = {"type": "beam", "commit_seconds": None}
    assert chosen_search(None, None, {}, NOTHING, own)["commit_seconds"] is None
    assert chosen_search("greedy", None, {}, None, {**own, "commit_seconds": 3}) == {"type": "greedy"}


def test_searches_of_options_configuration_and_model() -> None:
    own = {"type": "beam", "beam_size": 8}
    assert chosen_search(None, None, {}, None, own)["beam_size"] == 8
    assert chosen_search(None, None, {}, GIVEN, own)["beam_size"] == 2
    assert chosen_search(None, 3, {}, GIVEN, own)["beam_size"] == 3
    # A language model asks for a beam.
    assert chosen_search(None, None, {"lm": "ngram"}, None, {"type": "greedy"})["type"] == "beam"


def test_endpoints() -> None:
    assert chosen_endpoint(None, None, None, NOTHING) is None
    assert chosen_endpoint(None, None, None, GIVEN) == GIVEN.endpoint
    rules = chosen_endpoint(None, 9.0, None, GIVEN)
    assert rules is not None and (rules.trailing_silence, rules.max_seconds) == (None, 9.0)
    assert not rules.restart_encoder  # the configuration says no
    rules = chosen_endpoint(0.4, None, None, None)
    assert rules is not None and rules.restart_encoder and rules.trailing_silence == 0.4
    with pytest.raises(UserError, match="--restart_encoder is for an endpoint"):
        chosen_endpoint(None, None, True, None)
