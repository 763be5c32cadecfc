"""Your trained model on your set: packets through the caches against whole utterances, greedy and beam.

Random weights are tested elsewhere; a trained model's scores are sharper, and its ties are other ones.
XLSRT_TEST_MODEL=exp/<model> XLSRT_TEST_SET=dump/raw/dev pytest -s tests/parity/test_trained_model.py
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import torch

MODEL, SET = os.environ.get("XLSRT_TEST_MODEL"), os.environ.get("XLSRT_TEST_SET")
CONTEXTS = [
    {"chunk_ms": 320, "left_ms": 640, "sink_frames": 4},
    {"chunk_ms": 640, "left_ms": 640, "sink_frames": 16},
]
SEARCHES = [{"type": "greedy"}, {"type": "beam", "beam_size": 4}]


@pytest.mark.skipif(not (MODEL and SET), reason="name XLSRT_TEST_MODEL and XLSRT_TEST_SET to compare on them")
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search["type"])
@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_streams_say_what_the_masked_utterances_say(context, search):
    from xlsrt import Recognizer
    from xlsrt.data.kaldi import DataDir
    from xlsrt.data.waveforms import load_samples, read_set

    recognizer = Recognizer.from_exp(str(MODEL), context, search)
    data, entries = DataDir(Path(str(SET))), read_set(Path(str(SET)))
    entries = entries[: int(os.environ.get("XLSRT_TEST_UTTERANCES", len(entries)))]
    dice, tokens, worst, other = random.Random(0), 0, 0.0, []
    for first in range(0, len(entries), 8):
        part = entries[first : first + 8]
        wavs = {entry.name: torch.from_numpy(load_samples(data, entry)) for entry in part}
        masked = dict(zip(wavs, recognizer.transcribe_batch(list(wavs.values())), strict=True))
        pool, left = recognizer.pool(), dict(wavs)
        for name in left:
            pool.open(name)
        while left:
            packets = {name: wav[: dice.choice([37, 1600, 10240, 30000])] for name, wav in left.items()}
            pool.accept(packets)
            left = {name: wav[len(packets[name]) :] for name, wav in left.items()}
            left = {name: wav for name, wav in left.items() if len(wav)}
        for name, result in pool.finish(list(wavs)).items():
            found, wanted = result.hypothesis, masked[name].hypothesis
            tokens += len(wanted.tokens)
            worst = max(worst, abs(found.score - wanted.score))
            if (found.tokens, found.frames) != (wanted.tokens, wanted.frames):
                other.append(name)
    print(f"\n{context}, {search}: {len(entries)} utterances, {tokens} tokens, scores differ by {worst:.1e}")
    assert tokens > 0
    assert not other, f"{len(other)} utterances differ, such as {other[0]}: look whether that is an exact tie"
    assert worst <= 1e-4
