"""What callers hand in: samples of odd shape, scale and order, names of streams, devices, searches."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
import soundfile
import torch

from tests.recognizer.make import TOKENS, make_exp, noise, same
from xlsrt import Recognizer
from xlsrt.errors import UserError


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return Recognizer.from_exp(make_exp(tmp_path_factory.mktemp("exp") / "exp", blank_bias=9.0))


def test_a_partial_is_two_texts(recognizer):
    stream = recognizer.stream(preview=True)
    partial = stream.accept(noise(2, seed=4))
    stable, unstable = partial
    assert (stable, unstable) == (partial.stable, partial.unstable) and partial.text


def test_arrays_in_any_order(recognizer):
    wav = noise(2, seed=3).numpy()
    wanted = recognizer.transcribe(wav)
    assert wanted.text
    backwards = np.ascontiguousarray(wav[::-1])
    fixed = wav.copy()
    fixed.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for samples in (backwards[::-1], wav.astype(">f4"), np.repeat(wav, 2)[::2], fixed):
            same(recognizer.transcribe(samples), wanted)
            stream = recognizer.stream()
            stream.accept(samples)
            same(stream.finish(), wanted)
    with pytest.raises(UserError, match="no array of samples"):
        recognizer.transcribe(np.array(["a"]))


def test_one_channel_in_two_dimensions(recognizer):
    wav = noise(1.5, seed=3)
    wanted = recognizer.transcribe(wav)
    for samples in (wav[None], wav[:, None], wav.numpy()[None], wav.numpy()[:, None]):
        same(recognizer.transcribe(samples), wanted)
    assert recognizer.stream().accept(np.zeros((0, 1), dtype=np.float32)).text == ""
    with pytest.raises(
        UserError, match=r"shape \(2, 800\); give one channel, .* choose one, or take the mean"
    ):
        recognizer.transcribe(wav[:1600].view(2, 800))


def test_another_scale_is_told_of_once(recognizer, tmp_path, caplog):
    wav = noise(1, seed=3)
    caplog.set_level(logging.WARNING)

    def told():
        messages = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return messages

    for fine in (wav, wav * 4, (wav * 32767).to(torch.int16)):
        recognizer.transcribe(fine)
    assert not told()
    recognizer.transcribe(wav * 32767)
    recognizer.transcribe(wav + 100)
    loud, offset = told()
    assert "the audio reaches" in loud and "expected in [-1, 1]" in loud and "32768" in loud
    assert "reaches 100" in offset
    soundfile.write(tmp_path / "a.wav", (wav * 1e4).numpy(), 16000, subtype="FLOAT")
    recognizer.transcribe(tmp_path / "a.wav")
    assert len(said := told()) == 1 and "a.wav reaches" in said[0]
    stream = recognizer.stream()
    for packet in (wav, wav * 1e4, wav * 1e4):
        stream.accept(packet)
    assert len(said := told()) == 1 and said[0].startswith("the stream's audio reaches")
    pool = recognizer.pool()
    for name in ("a", "b"):
        pool.open(name)
    pool.accept({"a": wav, "b": wav * 1e4})
    pool.accept({"a": wav, "b": wav * 1e4})
    assert len(said := told()) == 1 and said[0].startswith("the audio of stream 'b' reaches")
    pool.finish(["b"])
    pool.open("b")
    pool.accept({"b": wav * 1e4})
    assert len(told()) == 1, "another stream of that name"


def test_an_encoder_that_forgives_scales_says_nothing(tmp_path, caplog):
    config = {"input_norm": "utterance"}
    Recognizer.from_exp(make_exp(tmp_path, config=config), "full").transcribe(noise(1) * 1e4)
    assert not caplog.records


def test_pools_are_asked_by_name(recognizer):
    pool, wav = recognizer.pool(), noise(0.1)
    for packets in ([wav, wav], wav, None):
        with pytest.raises(UserError, match=r"packets are a \w+; give a mapping from the names of streams"):
            pool.accept(packets)
    with pytest.raises(UserError, match=r"stream \[1\]: a list cannot be a name; take text, a number"):
        pool.open([1])
    pool.open("caller 1")
    for names in ("caller 1", 5):
        with pytest.raises(UserError, match=r"give a list of the streams to end"):
            pool.finish(names)
    with pytest.raises(UserError, match="a list cannot be a name"):
        pool.finish([["caller 1"]])
    assert set(pool.finish({"caller 1"})) == {"caller 1"} and len(pool) == 0


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("mps", "device mps: the recogniser computes on cpu or cuda"),
        ("meta", "device meta: the recogniser computes on cpu or cuda"),
        (None, "device None is none that PyTorch knows"),
        ([], "none that PyTorch knows"),
        ("cuda:99", "PyTorch sees"),
    ],
)
def test_devices_that_are_none(recognizer, device, words):
    from xlsrt.recognizer.recognizer import _device

    with pytest.raises(UserError, match=words):
        _device(device)
    assert _device("cpu") == torch.device("cpu")


def test_searches_by_a_word_and_by_a_function(tmp_path):
    exp, wav = make_exp(tmp_path / "exp", blank_bias=9.0), noise(2, seed=3)
    for word in ("greedy", "beam"):
        wanted = Recognizer.from_exp(exp, search={"type": word}).transcribe(wav)
        same(Recognizer.from_exp(exp, search=word).transcribe(wav), wanted)
    with pytest.raises(UserError, match="search type 'bean' is unknown; known: greedy, beam"):
        Recognizer.from_exp(exp, search="bean")
    with pytest.raises(
        UserError, match="greedy has no beam_size; without a type it is greedy: write type: b"
    ):
        Recognizer.from_exp(exp, search={"beam_size": 4})

    def the_cat(tokens):
        return np.where(np.arange(len(TOKENS)) == TOKENS.index("▁cat"), 20.0, 0.0)

    found = Recognizer.from_exp(exp, search={"type": "beam", "lm": the_cat}).transcribe(wav)
    assert "cat" in found.text and "cat" not in wanted.text
