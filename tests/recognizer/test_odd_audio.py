"""Audio that has nothing to say: no samples, no sound, damaged files."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from tests.recognizer.make import make_exp, noise, same
from xlsrt import Recognizer
from xlsrt.bin import transcribe
from xlsrt.errors import UserError


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return make_exp(tmp_path_factory.mktemp("exp") / "exp", blank_bias=10.0)


def test_an_empty_recording_says_nothing(exp, tmp_path, capsys):
    for number, samples in enumerate((np.zeros(0), np.zeros(399))):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, samples, 16000)
        for options in ([], ["--stream"], ["--search", "beam"], ["--endpoint", "0.5"]):
            transcribe.main([str(path), "--model", str(exp), *options])
            assert capsys.readouterr().out == "\n"
        transcribe.main([str(path), "--model", str(exp), "--output", "srt"])
        assert capsys.readouterr().out == ""


def test_files_that_are_no_audio_are_named(exp, tmp_path):
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "whole.wav", noise(2).numpy(), 16000, subtype="PCM_16")
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    bad = noise(1).numpy()
    bad[5000] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, 16000, subtype="FLOAT")
    for name, words in (("nothing.wav", ""), ("cut.wav", "truncated"), ("nan.wav", "NaN")):
        with pytest.raises(UserError, match=rf"{name}.*{words}"):
            transcribe.main([str(tmp_path / name), "--model", str(exp)])


def test_ten_minutes_of_silence_do_not_disturb_a_neighbour(exp):
    recognizer = Recognizer.from_exp(exp)
    pool, wav = recognizer.pool(endpoint={"trailing_silence": 0.5, "max_seconds": 10.0}), noise(3, seed=2)
    pool.open("silent")
    pool.open("talking")
    heard = pool.accept({"silent": torch.zeros(30 * 16000), "talking": wav[:20000]})["talking"].finished
    for _ in range(19):
        pool.accept({"silent": torch.zeros(30 * 16000)})
    heard += pool.accept({"talking": wav[20000:]})["talking"].finished
    ended = pool.finish(["silent", "talking"])
    assert ended["silent"].end == pytest.approx(600, abs=0.1)
    alone = recognizer.stream(endpoint={"trailing_silence": 0.5, "max_seconds": 10.0})
    wanted = alone.accept(wav).finished
    assert len(heard) == len(wanted)
    for found, right in zip([*heard, ended["talking"]], [*wanted, alone.finish()], strict=True):
        same(found, right)


def test_samples_beyond_32_bits_are_named_by_their_stream(exp):
    pool = Recognizer.from_exp(exp).pool()
    pool.open("a")
    pool.open("b")
    loud = torch.full((8000,), 1e12)
    with pytest.raises(UserError, match=r"stream 'b': the audio reaches 1e\+12, beyond 32 bits"):
        pool.accept({"a": torch.zeros(8000), "b": loud})
