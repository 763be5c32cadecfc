"""The one rule, its constructors, and the sampler."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xlsrt.context import AttentionContext, ContextSampler, training_context_from_dict
from xlsrt.errors import UserError

contexts = st.builds(
    AttentionContext, st.integers(1, 40), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 50)
)


@given(contexts, st.integers(0, 200), st.integers(0, 200))
def test_visible_is_the_rule_of_the_paper(context: AttentionContext, q: int, k: int) -> None:
    chunk, left, sinks = context.chunk_frames, context.left_frames, context.sink_frames
    assert chunk is not None
    c = q // chunk
    past = True if left is None else k >= c * chunk - left or k < sinks
    assert context.visible(q, k) is (k < (c + 1) * chunk and past)


@given(contexts)
def test_numpy_torch_and_ints_agree(context: AttentionContext) -> None:
    q, k = np.arange(60)[:, None], np.arange(90)[None, :]
    expected = [[context.visible(a, b) for b in range(90)] for a in range(60)]
    assert (context.visible(q, k) == np.array(expected)).all()
    assert (context.visible(torch.tensor(q), torch.tensor(k)).numpy() == np.array(expected)).all()
    for kind in ("uint8", "int8", "uint32", "uint64"):  # whose differences and sums wrap
        assert (context.visible(q.astype(kind), k.astype(kind)) == np.array(expected)).all()
    for few in (torch.uint8, torch.int8):
        assert context.visible(torch.tensor(q).to(few), torch.tensor(k).to(few)).tolist() == expected
    assert context.mask(60, 90).tolist() == expected
    assert context.mask(20, 90, first_query=40).tolist() == expected[40:]


@given(contexts, st.integers(0, 200))
def test_what_one_chunk_evicts_no_later_chunk_sees(context: AttentionContext, k: int) -> None:
    assert context.chunk_frames is not None
    starts = range(0, 400, context.chunk_frames)
    seen = [context.visible(start, k) for start in starts if start + context.chunk_frames > k]
    assert seen == sorted(seen, reverse=True)


def test_full_attention_sees_everything() -> None:
    full = AttentionContext.full()
    assert full.is_full and full.visible(0, 10**6) is True
    assert full.mask(3, 5).all() and full.mask(3, 5).shape == (3, 5)
    assert math.isinf(full.algorithmic_latency_ms)
    assert str(full) == "full attention"


def test_milliseconds() -> None:
    assert AttentionContext.from_ms(640, 1280, 4) == AttentionContext(32, 64, 4)
    assert AttentionContext.from_ms(640, "all") == AttentionContext.from_ms(640) == AttentionContext(32)
    assert AttentionContext.from_ms(None) == AttentionContext.full()
    assert AttentionContext(32, 64).algorithmic_latency_ms == 645
    assert AttentionContext(32, 64, 4).cache_frames == 68
    assert AttentionContext(32).cache_frames is None
    assert str(AttentionContext(32, 64, 4)) == "chunk 640 ms, left 1280 ms, 4 sink frames"


@pytest.mark.parametrize("number", [np.int64, np.uint8, np.int16, torch.tensor])
def test_whatever_counts_is_a_number_of_frames(number: Callable[[int], Any]) -> None:
    found = AttentionContext(number(16), number(32), number(3))
    assert found == AttentionContext(16, 32, 3) and hash(found) == hash(AttentionContext(16, 32, 3))
    assert {type(value) for value in vars(found).values()} == {int}
    assert ContextSampler((number(16),), (number(8),)).to_dict()["chunk_frames"] == [16]


@pytest.mark.parametrize("number", [np.int64, np.float32, np.float64, float])
def test_milliseconds_of_numpy(number: Callable[[int], Any]) -> None:
    found = AttentionContext.from_ms(number(640), number(1280), np.int64(4))
    assert found == AttentionContext(32, 64, 4)
    assert {type(value) for value in vars(found).values()} == {int}
    with pytest.raises(UserError, match="multiple of 20"):
        AttentionContext.from_ms(number(650))


@pytest.mark.parametrize("value", [True, np.bool_(True), 16.0, np.float64(16), "16", None])
def test_what_does_not_count_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match="sink_frames must be a whole number"):
        AttentionContext(16, 0, value)


@given(st.one_of(contexts, st.just(AttentionContext.full())))
def test_dict_round_trip(context: AttentionContext) -> None:
    assert AttentionContext.from_dict(context.to_dict()) == context


def test_frames_in_dicts() -> None:
    assert AttentionContext.from_dict({"chunk_frames": 32, "left_frames": "all"}) == AttentionContext(32)
    assert AttentionContext.from_dict({"chunk_ms": "full"}) == AttentionContext.full()
    assert AttentionContext.from_dict({}) == AttentionContext.full()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"chunk_ms": 650, "left_ms": 0}, "chunk_ms must be a multiple of 20"),
        ({"chunk_ms": 0}, "chunk_ms must be at least 20, not 0"),
        ({"chunk_ms": -640}, "chunk_ms must be at least 20, not -640"),
        ({"chunk_ms": 640, "left_ms": -20}, "left_ms must be at least 0, not -20"),
        ({"chunk_ms": 640, "sink_frames": -1}, "sink_frames must be at least 0"),
        ({"chunk_ms": 640, "sink_frames": 1.5}, "sink_frames must be a whole number"),
        ({"chunk_ms": True}, "chunk_ms must be a number"),
        ({"chunk_ms": "640 ms"}, "chunk_ms must be a number"),
        ({"chunk_ms": float("nan")}, "chunk_ms must be a number"),
        ({"chunk_ms": float("inf")}, "chunk_ms must be a multiple"),
        ({"chunk": 640}, r"context: unknown key chunk \(did you mean chunk_ms\?\); known: chunk_ms"),
        ({"chunk_ms": 640, "chunk_frames": 32}, "either chunk_ms or chunk_frames"),
        ({"left_ms": 640}, "full attention"),
        ({"sink_frames": 4}, "full attention"),
        ([640], "mapping"),
    ],
)
def test_bad_contexts_are_refused_by_name(values: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        AttentionContext.from_dict(values)  # type: ignore[arg-type]


def test_sampler_is_a_function_of_seed_and_step() -> None:
    values = {
        "chunk_frames": {"min": 16, "max": 128, "multiple": 8},
        "left": ["1x", "2x", "all", 64],
        "sink_frames": [0, 4, 16],
        "full_prob": 0.2,
        "seed": 3,
    }
    sampler = ContextSampler.from_dict(values)
    draws = [sampler.sample(step) for step in range(2000)]
    assert draws == [ContextSampler.from_dict(sampler.to_dict()).sample(step) for step in range(2000)]
    assert draws != [sampler.sample(step, rank=1) for step in range(2000)]
    assert draws != [ContextSampler.from_dict({**values, "seed": 4}).sample(step) for step in range(2000)]
    chunked = [context for context in draws if not context.is_full]
    assert 300 < len(draws) - len(chunked) < 500
    assert {context.chunk_frames for context in chunked} == set(range(16, 129, 8))
    assert {context.sink_frames for context in chunked} == {0, 4, 16}
    lefts = {
        "all" if c.left_frames is None else 64 if c.left_frames == 64 else c.left_frames // c.chunk_frames
        for c in chunked
        if c.chunk_frames != 64 and c.chunk_frames != 32
    }
    assert lefts == {1, 2, 64, "all"}


def test_a_step_is_a_whole_number_however_it_is_counted() -> None:
    """Anything else would be another seed than the number it shows."""
    sampler = ContextSampler((16, 32, 64), (0, "1x", None), (0, 4, 16))
    for step in range(20):
        assert sampler.sample(np.int64(step)) == sampler.sample(torch.tensor(step)) == sampler.sample(step)
    for step, rank in ((3.0, 0), (-1, 0), (None, 0), (True, 0), (3, 0.0), (3, -1)):
        with pytest.raises(UserError, match="must be"):
            sampler.sample(step, rank)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"left": ["1x"]}, "needs chunk_frames"),
        ({"chunk_frames": [16], "left": ["²x"]}, "multiple of the chunk"),
        ({"chunk_frames": []}, "at least one choice"),
        ({"chunk_frames": [0]}, "at least 1"),
        ({"chunk_frames": [16], "left": ["twice"]}, "multiple of the chunk"),
        ({"chunk_frames": [16], "left": [-1]}, "at least 0"),
        ({"chunk_frames": {"min": 17, "max": 23, "multiple": 8}}, "no multiple of 8"),
        ({"chunk_frames": {"low": 17}}, "min, max and multiple"),
        ({"chunk_frames": [16], "full_prob": 2}, "between 0 and 1"),
        ({"chunk_frames": [16], "full_prob": "often"}, "full_prob is 'often'; it must be a finite number"),
        ({"chunk_frames": [16], "seed": 0.5}, "seed"),
        ({"chunk_frames": [16], "per_rank": "yes"}, "per_rank is 'yes'"),
        ({"chunk_frames": [16], "chunk_ms": [320]}, "context sampler: unknown key chunk_ms"),
        ([16], "context sampler is .*must be a mapping"),
        ({"chunk_frames": {1: 2, "min": 3}}, "min, max and multiple"),
    ],
)
def test_bad_samplers_are_refused_by_name(values: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        ContextSampler.from_dict(values)


def test_training_context_is_told_by_its_keys() -> None:
    fixed = training_context_from_dict({"chunk_frames": 32, "left_frames": 64})
    assert fixed == AttentionContext(32, 64)
    assert training_context_from_dict({}) == AttentionContext.full()
    for values in (
        {"chunk_frames": [16, 32]},
        {"chunk_frames": 32, "left": "1x"},
        {"chunk_frames": 8, "seed": 1},
    ):
        assert isinstance(training_context_from_dict(values), ContextSampler)
    with pytest.raises(UserError, match="mapping"):
        training_context_from_dict("full")  # type: ignore[arg-type]


def test_the_module_does_not_load_torch() -> None:
    code = "import sys, xlsrt.context; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
