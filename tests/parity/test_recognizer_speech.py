"""Real speech through the whole path: packets through the caches against whole utterances under the mask."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import soundfile
import torch

from tests.recognizer.make import make_exp, same
from xlsrt import Recognizer

SPEECH = Path(__file__).resolve().parents[3] / "shared" / "speech" / "an4" / "audio"
FILES = sorted(SPEECH.glob("*.flac"))[:6]


@pytest.mark.skipif(not FILES, reason="no real speech beside the repository (shared/speech/an4)")
@pytest.mark.parametrize("search", [{"type": "greedy"}, {"type": "beam", "beam_size": 4}])
@pytest.mark.parametrize(
    "context",
    [
        {"chunk_ms": 320, "left_ms": 320},
        {"chunk_ms": 640, "left_ms": 1280, "sink_frames": 16},
        {"chunk_ms": 1280, "left_ms": "all"},
        {"chunk_ms": None, "left_ms": "all"},
    ],
    ids=str,
)
def test_streaming_is_the_masked_utterance(tmp_path, context, search):
    exp = make_exp(tmp_path / "exp", blank_bias=9.0, model_conf={"output_subsampling": 2})
    recognizer = Recognizer.from_exp(exp, context, search)
    wavs = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in FILES]
    masked = recognizer.transcribe_batch(wavs)
    assert sum(len(result.hypothesis.tokens) for result in masked) > 20
    dice, pool = random.Random(0), recognizer.pool()
    left = dict(enumerate(wavs))
    for name in left:
        pool.open(name)
    while left:
        packets = {name: wav[: dice.choice([37, 1600, 10240, 30000])] for name, wav in left.items()}
        pool.accept(packets)
        left = {name: wav[len(packets[name]) :] for name, wav in left.items()}
        left = {name: wav for name, wav in left.items() if len(wav)}
    for name, result in pool.finish(range(len(wavs))).items():
        same(result, masked[name])
