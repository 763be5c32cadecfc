"""Packets of any size, pools and batches against the whole recording; endpoints; bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recognizer.make import make_exp, noise
from xlsrt import AttentionContext, Recognizer
from xlsrt.errors import UserError

CONTEXTS = [
    {"chunk_ms": 160, "left_ms": 160, "sink_frames": 4},
    {"chunk_ms": 320, "left_ms": 0},
    {"chunk_ms": 100, "left_ms": "all"},
    {"chunk_ms": None, "left_ms": "all"},
]
SEARCHES = [{"type": "greedy", "max_symbols": 2}]


@pytest.fixture(scope="module")
def exps(tmp_path_factory):
    root = tmp_path_factory.mktemp("exp")
    made = {}
    for subsampling in (1, 4):
        conf = {"ctc_weight": 0.3, "output_subsampling": subsampling}
        made[subsampling] = make_exp(root / str(subsampling), model_conf=conf)
    return made


def same(found, wanted):
    assert found.hypothesis.tokens == wanted.hypothesis.tokens
    assert found.hypothesis.frames == wanted.hypothesis.frames
    assert found.hypothesis.probs == pytest.approx(wanted.hypothesis.probs, abs=1e-4)
    assert found.hypothesis.score == pytest.approx(wanted.hypothesis.score, abs=1e-3, rel=1e-5)
    assert found.text == wanted.text
    assert (found.start, found.end) == (wanted.start, wanted.end)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_packets_give_the_transcript(exps, data):
    recognizer = Recognizer.from_exp(
        exps[data.draw(st.sampled_from([1, 4]))],
        context=data.draw(st.sampled_from(CONTEXTS)),
        search=data.draw(st.sampled_from(SEARCHES)),
    )
    wav = noise(data.draw(st.floats(0, 3)), seed=data.draw(st.integers(0, 9)))
    stream, start, shown = recognizer.stream(preview=data.draw(st.booleans())), 0, ""
    while start < len(wav):
        size = data.draw(st.sampled_from([0, 1, 79, 319, 1600, 5120, 20000]))
        partial = stream.accept(wav[start : start + size])
        assert partial.stable.startswith(shown)  # stable text only grows
        shown, start = partial.stable, start + size
    result = stream.finish()
    assert recognizer.tokens.text(result.hypothesis.tokens).startswith(shown)
    same(result, recognizer.transcribe(wav))
