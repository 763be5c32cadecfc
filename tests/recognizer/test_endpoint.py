"""Endpoint rules: the same segments for all packets, no token lost, and fresh encoders where asked for."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recognizer.make import make_exp, noise, same
from xlsrt import Recognizer
from xlsrt.decoding.engine import streamed_segments
from xlsrt.errors import UserError
from xlsrt.recognizer import EndpointRules
from xlsrt.recognizer.endpoint import CHECK_FRAMES, STEP_FRAMES
from xlsrt.recognizer.line import Engine, search_whole

RULES = {"trailing_silence": 0.2, "max_seconds": 1.5, "min_pause": 0.1, "restart_encoder": False}


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory):
    root = tmp_path_factory.mktemp("exp")
    made = {}
    for subsampling in (1, 2):
        conf = {"ctc_weight": 0.0, "output_subsampling": subsampling}
        exp = make_exp(root / str(subsampling), blank_bias=10.0, model_conf=conf)
        for kind in ("greedy", "beam"):
            made[kind, subsampling] = Recognizer.from_exp(exp, search={"type": kind, "max_symbols": 2})
    return made


def segments(recognizer, wav, sizes, **rules):
    """All segments of a stream whose packets have these sizes, again and again."""
    stream, start, found, turn = recognizer.stream(endpoint={**RULES, **rules}), 0, [], 0
    while start < len(wav):
        size = sizes[turn % len(sizes)]
        found += stream.accept(wav[start : start + size]).finished
        start, turn = start + size, turn + 1
    return [*found, stream.finish()]


@settings(max_examples=8)
@given(st.data())
def test_packets_do_not_move_endpoints(recognizers, data):
    recognizer = recognizers[data.draw(st.sampled_from(sorted(recognizers)))]
    restart = data.draw(st.booleans())
    wav = noise(data.draw(st.floats(2, 6)), seed=data.draw(st.integers(0, 5)))
    sizes = data.draw(st.lists(st.sampled_from([100, 1600, 5120, 9999, 40000]), min_size=1, max_size=3))
    found = segments(recognizer, wav, sizes, restart_encoder=restart)
    wanted = segments(recognizer, wav, [len(wav)], restart_encoder=restart)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        same(ours, theirs)


def test_long_packets_do_not_age_a_stream_that_begins_anew(tmp_path):
    exp = make_exp(tmp_path, blank_bias=10.0, config={"max_stream_seconds": 2.0})
    recognizer = Recognizer.from_exp(exp, context={"chunk_ms": 160, "left_ms": "all"})
    wav = noise(6, seed=7)
    rules = {"max_seconds": 1.0, "trailing_silence": None, "restart_encoder": True}
    wanted = segments(recognizer, wav, [1600], **rules)
    assert len(wanted) > 3
    for size in (16000, 48000, len(wav)):
        for ours, theirs in zip(segments(recognizer, wav, [size], **rules), wanted, strict=True):
            same(ours, theirs)


@pytest.fixture
def deaf(recognizers):
    """With a predictor that says nothing the tokens depend on the sound alone: cutting changes nothing."""
    recognizer = recognizers["greedy", 1]
    projection = recognizer.head.joint.predictor_projection.weight
    saved = projection.detach().clone()
    projection.data.zero_()
    yield recognizer
    projection.data.copy_(saved)


def test_every_pause_that_is_long_enough_closes(deaf):
    """At whatever frame it begins, however soon the next token follows, and with a space amid it too."""
    wav = noise(40, seed=7)
    whole = deaf.transcribe(wav).hypothesis
    long_enough = round(RULES["trailing_silence"] * 50) + STEP_FRAMES

    def pauses(hypothesis, spaces=()):
        pairs = zip(hypothesis.tokens, hypothesis.frames, strict=True)
        frames = [frame for token, frame in pairs if token not in spaces]
        return [later - sooner for sooner, later in itertools.pairwise(frames)]

    # Those shorter than the distance of looks are the ones that could be passed over.
    assert sum(long_enough <= pause < CHECK_FRAMES + 10 for pause in pauses(whole)) > 3
    long_ones = [sum(p >= long_enough for p in pauses(whole, s)) for s in ((), deaf.tokens.spaces)]
    assert long_ones[0] < long_ones[1]
    found = segments(deaf, wav, [3000], max_seconds=None)
    assert len(found) > long_ones[1]
    assert [frame for result in found for frame in result.hypothesis.frames] == whole.frames
    for result in found:
        assert max(pauses(result.hypothesis, deaf.tokens.spaces), default=0) < long_enough


def test_no_token_is_lost(deaf):
    wav = noise(8, seed=7)
    found = segments(deaf, wav, [3000])
    whole = deaf.transcribe(wav).hypothesis
    assert len(found) > 4
    assert [t for result in found for t in result.hypothesis.tokens] == whole.tokens
    assert [f for result in found for f in result.hypothesis.frames] == whole.frames
    assert sum(result.hypothesis.score for result in found) == pytest.approx(whole.score, abs=1e-3)
    for ours, theirs in itertools.pairwise(found):
        assert ours.start < ours.end <= theirs.start
        assert ours.hypothesis.tokens and ours.end - ours.start <= RULES["max_seconds"] + 0.32


def test_a_segment_of_spaces_alone_leaves_the_times_of_the_next_alone(recognizers):
    own = recognizers["greedy", 1]
    engine = Engine(own.encoder, own.search, own.context, frozenset(range(len(own.tokens.token_list))))
    rules = EndpointRules(**{**RULES, "restart_encoder": True})
    [[(best, times)]] = streamed_segments(engine, rules, [torch.as_tensor(noise(8, seed=7))], 3000)
    assert best.tokens and len(times) == len(best.tokens)


def test_a_restarted_encoder_begins_at_the_closing_frame(recognizers):
    recognizer = recognizers["greedy", 2]
    wav = noise(6, seed=3)
    found = segments(recognizer, wav, [2500], restart_encoder=True)
    assert len(found) > 2
    cut = found[0].end
    rest = segments(recognizer, wav[round(cut * 16000) :], [2500], restart_encoder=True)
    assert [r.hypothesis.tokens for r in found[1:]] == [r.hypothesis.tokens for r in rest]
    shifted = [frame + round(cut * 50) for r in rest for frame in r.hypothesis.frames]
    assert [frame for r in found[1:] for frame in r.hypothesis.frames] == shifted


@pytest.mark.parametrize("kind", ["greedy", "beam"])
@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("longest", [1.5, None])
def test_whole_recordings_are_cut_as_their_packets_are(recognizers, kind, restart, longest):
    """Recordings of several lengths in one batch, most of them longer than a masked segment needs."""
    recognizer = recognizers[kind, 2]
    rules = {**RULES, "restart_encoder": restart, "max_seconds": longest}
    engine = Engine(recognizer.encoder, recognizer.search, recognizer.context, recognizer.tokens.spaces)
    wavs = [noise(seconds, seed=seed) for seed, seconds in enumerate((0.01, 0.3, 3.1, 7.0))]
    count = 0
    for wav, (closed, last) in zip(wavs, search_whole(engine, EndpointRules(**rules), wavs), strict=True):
        wanted = segments(recognizer, wav, [2500], **rules)
        found = [*(one.hypothesis for one in closed), last]
        assert [h.tokens for h in found] == [result.hypothesis.tokens for result in wanted]
        assert [h.frames for h in found] == [result.hypothesis.frames for result in wanted]
        assert [h.score for h in found] == pytest.approx([r.hypothesis.score for r in wanted], abs=1e-4)
        count += len(found)
    assert count >= len(wavs) + 3  # cut at all


def test_endless_streams_keep_their_size(recognizers):
    """Memory: after many segments a stream holds no more than after a few."""
    recognizer = recognizers["beam", 1]
    stream = recognizer.stream(endpoint={**RULES, "restart_encoder": True})
    sizes = []
    for second in range(30):
        stream.accept(noise(1, seed=second))
        line = stream._pool._lines[0]
        depth = max(node.depth if node else 0 for node in line.search.nodes[0])
        sizes.append((line.encoder.state_bytes, line.recent.numel(), depth, len(line.closed)))
    for column in zip(*sizes, strict=True):
        assert max(column[15:]) <= max(column[:15]) * 1.5 + 10


def test_silence_hands_out_nothing(recognizers):
    recognizer = recognizers["greedy", 1]
    silence = torch.zeros(16000 * 8)
    assert recognizer.transcribe(silence).text == ""
    for restart in (False, True):
        found = segments(recognizer, silence, [4000], restart_encoder=restart)
        assert [result.text for result in found] == [""]


def test_rules():
    rules = EndpointRules(trailing_silence=1.0, max_seconds=10.0, min_pause=0.5)
    assert not rules.closes(now=400, start=0, tokens=[])
    assert not EndpointRules(restart_encoder=False).closes(now=10000, start=0, tokens=[])
    assert not EndpointRules().closes(now=1500, start=0, tokens=[])
    assert EndpointRules(restart_encoder=True).closes(now=1500, start=0, tokens=[])
    assert EndpointRules(max_seconds=None, restart_encoder=True).closes(now=1500, start=0, tokens=[])
    assert not EndpointRules(max_seconds=None, restart_encoder=True).closes(now=1496, start=0, tokens=[])
    assert not EndpointRules(max_seconds=None, restart_encoder=False).closes(now=10**6, start=0, tokens=[])
    assert not rules.closes(now=149, start=0, tokens=[0, 100])
    assert rules.closes(now=150, start=0, tokens=[0, 100])
    assert not rules.closes(now=399, start=0, tokens=[0, 370])
    assert rules.closes(now=400, start=0, tokens=[0, 370])
    assert not rules.closes(now=499, start=0, tokens=[0, 480])
    assert rules.closes(now=500, start=0, tokens=[0, 499])
    assert not EndpointRules(None, None).closes(now=10**6, start=0, tokens=[0])
    # A minute of silence, then a word: it is not cut in two.
    assert not rules.closes(now=3010, start=0, tokens=[3000, 3008])
    assert rules.closes(now=3500, start=0, tokens=[3000, 3490])
    with pytest.raises(UserError, match="max_seconds is 0"):
        EndpointRules(max_seconds=0)
    with pytest.raises(UserError, match="trailing_silence is inf"):
        EndpointRules(trailing_silence=float("inf"))
    with pytest.raises(UserError, match="silence_seconds"):
        EndpointRules.from_dict({"silence_seconds": 1})
