"""Pretraining: labels lie where the phonemes are, a run learns, and a killed run goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain.data import Inventory, SyntheticBatches, collate, frame_labels
from xlsrt.pretrain.loop import Pretraining, PretrainOptions, phone_error_rate
from xlsrt.pretrain.model import IGNORED, PhonemeModel


@dataclass(frozen=True)
class Made:
    wav: np.ndarray
    phonemes: list[tuple[str, float, float]]


TONES = {"a": 300.0, "b": 900.0, "c": 2500.0}


def make_tones(seed: int) -> Made:
    """Three kinds of "phonemes" told apart by their pitch, 100 ms each, pauses between."""
    rng = np.random.default_rng(seed)
    wav, spans, now = [np.zeros(1600)], [], 0.1
    for symbol in rng.choice(list(TONES), size=rng.integers(3, 7)):
        wav += [0.3 * np.sin(2 * np.pi * TONES[symbol] * np.arange(1600) / 16000), np.zeros(800)]
        spans.append((str(symbol), now, now + 0.1))
        now += 0.15
    return Made(np.concatenate(wav).astype(np.float32), spans)


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(sorted(TONES))


def new_run(directory: Path, inventory: Inventory, **options: object) -> Pretraining:
    torch.manual_seed(0)
    settings = PretrainOptions(**{"batch_seconds": 6.0, "warmup": 10, "amp": False, **options})  # type: ignore[arg-type]
    model = PhonemeModel(XlsrEncoder(XlsrConfig.preset("tiny")), len(inventory))
    dataset = SyntheticBatches(make_tones, inventory, settings.batch_seconds, first_seed=0, pool=16)
    valid = [collate([make_tones(10**6 + i) for i in range(8)], inventory)]
    return Pretraining(model, dataset, valid, settings, directory, num_workers=0, save_every=50)


def test_frame_labels_are_those_at_the_frame_centres(inventory: Inventory) -> None:
    utterance = Made(np.zeros(16000, dtype=np.float32), [("b", 0.1, 0.3), ("c", 0.3, 0.35)])
    labels = frame_labels(utterance, inventory)
    assert len(labels) == 49
    centres = (np.arange(49) * 320 + 200) / 16000
    expected = np.where(
        (centres >= 0.1) & (centres < 0.3), 2, np.where((centres >= 0.3) & (centres < 0.35), 3, 0)
    )
    np.testing.assert_array_equal(labels, expected)


def test_collate_pads_and_ignores_the_padding(inventory: Inventory) -> None:
    batch = collate([make_tones(0), make_tones(1)], inventory)
    for row in range(2):
        frames = (int(batch.wav_lens[row]) - 400) // 320 + 1
        assert (batch.frames[row, :frames] != IGNORED).all()
        assert (batch.frames[row, frames:] == IGNORED).all()


def test_unknown_phonemes_share_one_id(inventory: Inventory) -> None:
    assert inventory.id("ʘ") == len(inventory)
    assert Inventory.collect(make_tones, range(30)).symbols.__len__() == 3


def test_it_learns_and_goes_on_where_it_was_killed(tmp_path: Path, inventory: Inventory) -> None:
    run = new_run(tmp_path, inventory, updates=100)
    before = phone_error_rate(run.model, run.valid, AttentionContext.full())
    run.run()
    after = phone_error_rate(run.model, run.valid, AttentionContext.full())
    assert after < 0.5 * before

    again = new_run(tmp_path, inventory, updates=100)
    assert again.resume() and again.update == 100
    assert phone_error_rate(again.model, again.valid, AttentionContext.full()) == after

    with pytest.raises(UserError, match="other options"):
        new_run(tmp_path, inventory, updates=60).resume()
