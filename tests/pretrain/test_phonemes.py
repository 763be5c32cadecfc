"""Pretraining on made-up speech from its beginning to the exported encoder, with tones for speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xlsrt.encoder import XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain import phonemes
from xlsrt.pretrain.loop import SEEDS, UTTERANCES, VALID_SEED, PretrainOptions
from xlsrt.pretrain.phonemes import pretrain_phonemes

OPTIONS = PretrainOptions(updates=2, batch_seconds=2.0, amp=False)
REST = {"preset": "tiny", "init": None, "num_workers": 0, "threads": 0, "valid_utterances": 3}


class Made:
    def __init__(self, seed: int) -> None:
        self.wav = np.random.default_rng(seed).normal(0.0, 0.1, 8000).astype(np.float32)
        self.phonemes = [("a", 0.1, 0.2), ("b", 0.2, 0.4)]


def test_it_exports_goes_on_and_starts_from_another(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(phonemes, "make_utterance", Made)
    encoder = pretrain_phonemes(tmp_path / "one", OPTIONS, **REST, dtype="float32")
    assert encoder == tmp_path / "one/encoder" and "resuming" not in capsys.readouterr().out
    first = XlsrEncoder.from_pretrained(encoder)
    assert first.config.hidden_dropout == first.config.mask_time_prob == 0.0
    pretrain_phonemes(tmp_path / "one", OPTIONS, **REST, dtype="float32")
    assert "resuming at update 2 of 2" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(phonemes, "make_utterance", lambda seed: pytest.fail("speech was made"))
        with pytest.raises(UserError, match=r"written with other options \(updates 2, not 3\): give"):
            pretrain_phonemes(tmp_path / "one", replace(OPTIONS, updates=3), **REST, dtype="float32")
    taken = {**REST, "init": str(encoder)}
    pretrain_phonemes(tmp_path / "two", replace(OPTIONS, updates=0), **taken, dtype="float16")
    second = XlsrEncoder.from_pretrained(tmp_path / "two/encoder").state_dict()
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(second[name], tensor.half().float(), rtol=0, atol=0)
    pretrain_phonemes(tmp_path / "three", replace(OPTIONS, seed=1), **taken, dtype="float32")
    third = XlsrEncoder.from_pretrained(tmp_path / "three/encoder")
    assert third.config.freeze_feature_extractor is None, "whoever fine-tunes it decides"
    for name, tensor in first.feature_extractor.state_dict().items():
        assert not torch.equal(tensor, third.feature_extractor.state_dict()[name]), f"{name} learns too"


def test_no_seed_reaches_the_validation_speech() -> None:
    assert SEEDS * UTTERANCES <= VALID_SEED
    with pytest.raises(UserError, match="--seed 256: give 0 to 255"):
        replace(OPTIONS, seed=256)
