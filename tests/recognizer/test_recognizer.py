"""Packets of any size, pools and batches against the whole recording, and what else a user meets."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recognizer.make import TOKENS, make_exp, noise, same
from xlsrt import AttentionContext, Recognizer
from xlsrt.data.audio import read_audio
from xlsrt.errors import UserError

CONTEXTS = [
    {"chunk_ms": 160, "left_ms": 160, "sink_frames": 4},
    {"chunk_ms": 320, "left_ms": 0},
    {"chunk_ms": 100, "left_ms": "all"},
    {"chunk_ms": None, "left_ms": "all"},
]
SEARCHES = [{"type": "greedy", "max_symbols": 2}, {"type": "beam", "beam_size": 3, "max_symbols": 2}]


class Habit:
    """A language model: it expects what came two tokens ago."""

    def init(self):
        return (3, 4)

    def score(self, state):
        return 2.0 * torch.nn.functional.one_hot(torch.tensor(state[0]), len(TOKENS)).float()

    def step(self, state, token):
        return (state[1], token)


SIZES = [0, 1, 79, 319, 1600, 5120, 20000]


@pytest.fixture(scope="module")
def exps(tmp_path_factory):
    root = tmp_path_factory.mktemp("exp")
    made = {}
    for subsampling in (1, 4):
        conf = {"ctc_weight": 0.3, "output_subsampling": subsampling}
        made[subsampling] = make_exp(root / str(subsampling), blank_bias=9.0, model_conf=conf)
    return made


@settings(max_examples=15)
@given(st.data())
def test_any_packets_give_the_transcript(exps, data):
    recognizer = Recognizer.from_exp(
        exps[data.draw(st.sampled_from([1, 4]))],
        context=data.draw(st.sampled_from(CONTEXTS)),
        search=data.draw(st.sampled_from([*SEARCHES, {**SEARCHES[1], "lm": Habit(), "lm_weight": 0.5}])),
    )
    wav = noise(data.draw(st.floats(0, 3)), seed=data.draw(st.integers(0, 9)))
    stream, start, shown = recognizer.stream(preview=data.draw(st.booleans())), 0, ""
    while start < len(wav):
        size = data.draw(st.sampled_from(SIZES))
        partial = stream.accept(wav[start : start + size])
        assert partial.stable.startswith(shown)  # stable text only grows
        shown, start = partial.stable, start + size
    result = stream.finish()
    assert recognizer.tokens.text(result.hypothesis.tokens).startswith(shown)
    same(result, recognizer.transcribe(wav))


@settings(max_examples=8)
@given(st.data())
def test_a_pool_gives_what_single_streams_give(exps, data):
    recognizer = Recognizer.from_exp(exps[1], search=data.draw(st.sampled_from(SEARCHES)))
    pool = recognizer.pool()
    wavs = {name: noise(data.draw(st.floats(0, 2)), seed=i) for i, name in enumerate("abc")}
    left, ended = {}, {}
    waiting = list(wavs)
    while waiting or left:
        if waiting and (not left or data.draw(st.booleans())):
            name = waiting.pop()
            pool.open(name)
            left[name] = wavs[name]
        sizes = {name: data.draw(st.sampled_from(SIZES)) for name in left if data.draw(st.booleans())}
        pool.accept({name: left[name][:size] for name, size in sizes.items()})
        left = {name: rest[sizes.get(name, 0) :] for name, rest in left.items()}
        over = [name for name, rest in left.items() if len(rest) == 0]
        ended.update(pool.finish(over))
        for name in over:
            del left[name]
    assert len(pool) == 0
    for name, wav in wavs.items():
        same(ended[name], recognizer.transcribe(wav))


def test_batches_give_what_single_recordings_give(exps):
    recognizer = Recognizer.from_exp(exps[4])
    wavs = [noise(seconds, seed=i) for i, seconds in enumerate([1.3, 0.0, 0.02, 3.1, 0.4, 2.2])]
    together = recognizer.transcribe_batch(wavs)
    assert sum(len(result.words) for result in together) > 3
    for result, wav in zip(together, wavs, strict=True):
        same(result, recognizer.transcribe(wav))
    assert recognizer.transcribe_batch([]) == []


def test_long_recordings_go_through_the_caches(exps, monkeypatch):
    from xlsrt.recognizer import recognizer as module

    recognizer = Recognizer.from_exp(exps[1])
    wavs = [noise(5, seed=1), noise(3, seed=2)]
    masked = recognizer.transcribe_batch(wavs)
    monkeypatch.setattr(module, "PACKET_SECONDS", 1)
    monkeypatch.setattr(recognizer.encoder, "forward", None)  # the masked path is not taken
    for result, wanted in zip(recognizer.transcribe_batch(wavs), masked, strict=True):
        same(result, wanted)


@pytest.mark.parametrize("config", [{"input_norm": "utterance"}, {"feat_extract_norm": "group"}])
def test_long_recordings_of_encoders_that_cannot_stream(config, tmp_path, monkeypatch):
    from xlsrt.recognizer import recognizer as module

    recognizer = Recognizer.from_exp(make_exp(tmp_path, config=config))
    wavs = [noise(5, seed=1), noise(1, seed=2)]
    masked = recognizer.transcribe_batch(wavs)
    monkeypatch.setattr(module, "PACKET_SECONDS", 1)
    for result, wanted in zip(recognizer.transcribe_batch(wavs), masked, strict=True):
        same(result, wanted)


def test_preview_shows_the_incomplete_chunk(exps):
    recognizer = Recognizer.from_exp(exps[1], context={"chunk_ms": 1280, "left_ms": 1280})
    wav = noise(1.2, seed=4)
    plain, eager = recognizer.stream(), recognizer.stream(preview=True)
    assert plain.accept(wav).text == ""
    shown = eager.accept(wav)
    assert shown.stable == "" and shown.unstable != ""
    assert shown.unstable.strip() == recognizer.transcribe(wav).text
    same(eager.finish(), plain.finish())


def test_samples_of_any_type(exps):
    recognizer = Recognizer.from_exp(exps[1])
    integers = (noise(2, seed=3).clamp(-1, 1) * 32767).to(torch.int16)
    wanted = recognizer.transcribe(integers.double() / 2**15)
    assert wanted.text
    same(recognizer.transcribe(integers.numpy()), wanted)
    same(recognizer.transcribe((integers.double() / 2**15).tolist()), wanted)


def test_files_of_any_rate_and_channels(exps, tmp_path):
    recognizer = Recognizer.from_exp(exps[1])
    wav = noise(2.0, seed=1).numpy()
    path = tmp_path / "talk.flac"
    soundfile.write(path, np.stack([wav[::2], wav[::2]], 1), 8000)
    found = recognizer.transcribe(path)
    assert found.text
    same(recognizer.transcribe(str(path)), found)
    same(recognizer.transcribe(read_audio(path)), found)
    assert found.end == pytest.approx(2.0, abs=0.03)
    one, two = recognizer.transcribe_batch([path, wav])
    assert (one.text, two.text) == (found.text, recognizer.transcribe(wav).text)
    assert recognizer.transcribe_nbest(path, 1)[0].text == found.text
    with pytest.raises(UserError, match=r"no\.wav does not exist"):
        recognizer.transcribe(tmp_path / "no.wav")
    (tmp_path / "text.wav").write_text("not sound")
    with pytest.raises(UserError, match=r"text\.wav: "):
        recognizer.transcribe(tmp_path / "text.wav")


def test_results_are_plain_data(exps):
    result = Recognizer.from_exp(exps[1]).transcribe(noise(2, seed=1))
    data = json.loads(json.dumps(result.to_dict()))
    assert data["text"] == result.text and len(data["words"]) == len(result.words) > 0
    assert " ".join(word.text for word in result.words).split() == result.text.split()
    assert all(0 <= word.start < word.end <= result.end + 0.1 for word in result.words)
    for word, after in itertools.pairwise(result.words):  # several words may come at one frame
        assert word.end <= after.start or word.start == after.start


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (torch.tensor([0.0, float("nan")]), 16000, "NaN"),
        (np.array([np.inf]), 16000, "infinite"),
        (torch.zeros(4), 8000, "8000"),
        (torch.zeros(2, 4), 16000, r"\(2, 4\)"),
        (torch.zeros(4, dtype=torch.uint8), 16000, "uint8"),
        (["a"], 16000, "no array"),
    ],
)
def test_bad_samples_are_refused_and_harm_nobody(exps, samples, rate, words):
    recognizer = Recognizer.from_exp(exps[1])
    with pytest.raises(UserError, match=words):
        recognizer.transcribe(samples, rate)
    pool, wav = recognizer.pool(), noise(1, seed=5)
    pool.open("good")
    pool.open("bad")
    pool.accept({"good": wav[:9000], "bad": wav[:3000]})
    with pytest.raises(UserError, match=words):
        pool.accept({"good": torch.zeros(500), "bad": samples}, rate)
    pool.accept({"good": wav[9000:], "bad": wav[3000:]})
    for result in pool.finish(["good", "bad"]).values():
        same(result, recognizer.transcribe(wav))


def test_a_stream_too_old_for_its_context_is_named(tmp_path):
    exp = make_exp(tmp_path, config={"max_stream_seconds": 2.0}, blank_bias=10.0)
    recognizer, wav = Recognizer.from_exp(exp, {"chunk_ms": 160, "left_ms": "all"}), noise(2)
    for rules in (None, {"trailing_silence": 60.0, "max_seconds": None, "restart_encoder": True}):
        pool = recognizer.pool(endpoint=rules)
        for name in ("young", "old", "older"):
            pool.open(name)
        pool.accept({"young": wav[:9000], "old": wav[:30000], "older": wav})
        with pytest.raises(UserError, match=r"stream 'old', 'older': a stream is longer than max_stream"):
            pool.accept({"young": wav[9000:20000], "old": wav, "older": wav[:1]})
        with pytest.raises(UserError, match=r"^a stream is longer than max_stream"):
            pool.accept({"old": wav})
        # Nobody has moved, and all can go on or end.
        pool.accept({"young": wav[9000:], "old": wav[30000:]})
        for result in pool.finish(["young", "old", "older"]).values():
            same(result, recognizer.transcribe(wav))


def test_streams_end_once(exps):
    recognizer = Recognizer.from_exp(exps[1])
    stream = recognizer.stream()
    assert stream.finish().text == ""
    with pytest.raises(UserError, match="has ended"):
        stream.accept(torch.zeros(10))
    with pytest.raises(UserError, match="has ended"):
        stream.finish()
    pool = recognizer.pool()
    with pytest.raises(UserError, match="never opened"):
        pool.accept({"x": torch.zeros(10)})
    pool.open("x")
    with pytest.raises(UserError, match="open already"):
        pool.open("x")


def test_silence_clipping_and_offset(exps):
    recognizer = Recognizer.from_exp(exps[1])
    for wav in (torch.zeros(160000), torch.ones(32000), noise(2).sign(), noise(2) + 5, noise(2) * 1e4):
        stream = recognizer.stream()
        stream.accept(wav)
        same(stream.finish(), recognizer.transcribe(wav))


def test_contexts_can_be_given_in_three_ways(exps):
    wav = noise(2, seed=2)
    by_name = Recognizer.from_exp(exps[1], context={"chunk_ms": 320, "left_ms": 320, "sink_frames": 4})
    by_value = Recognizer.from_exp(exps[1], context=AttentionContext.from_ms(320, 320, 4))
    same(by_name.transcribe(wav), by_value.transcribe(wav))
    same(Recognizer.from_exp(exps[1]).transcribe(wav), by_value.transcribe(wav))


def test_more_than_one_transcript(exps):
    recognizer = Recognizer.from_exp(exps[4], CONTEXTS[0], SEARCHES[1])
    wav = noise(1.3, seed=5)
    ranked = recognizer.transcribe_nbest(wav, 3)
    scores = [one.hypothesis.score for one in ranked]
    assert len({tuple(one.hypothesis.tokens) for one in ranked}) == 3
    assert scores == sorted(scores, reverse=True)
    same(ranked[0], recognizer.transcribe(wav))
    with pytest.raises(UserError, match="4 transcripts were asked for; this search keeps 3"):
        recognizer.transcribe_nbest(wav, 4)
    for count in (0, -1, 1.5, True, None):
        with pytest.raises(UserError, match=r"transcripts were asked for; give a whole number from 1 on"):
            recognizer.transcribe_nbest(wav, count)
    with pytest.raises(UserError, match="keeps 1"):
        Recognizer.from_exp(exps[4]).transcribe_nbest(wav, 2)
