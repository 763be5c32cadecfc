"""Words of one recording with a model: long ones, and such as have nothing to align."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.alignment.make import letter_model
from tests.recognizer.make import noise
from xlsrt import Recognizer
from xlsrt.alignment import aligner as module
from xlsrt.alignment.aligner import Aligner
from xlsrt.errors import UserError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return letter_model(tmp_path / "exp")


def test_long_recordings_are_encoded_as_streams(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aligner = Aligner(Recognizer.from_exp(model))
    samples = noise(3.0).numpy()
    whole = aligner(samples, "bad cab dad")
    monkeypatch.setattr(module, "WHOLE_SECONDS", 0.7)
    assert [(w.word, w.start, w.end) for w in aligner(samples, "bad cab dad")] == [
        (w.word, w.start, w.end) for w in whole
    ]


def test_no_words_and_no_sound(model: Path) -> None:
    aligner = Aligner(Recognizer.from_exp(model))
    assert aligner(np.zeros(16000, dtype=np.float32), "") == []
    with pytest.raises(UserError, match="do not fit into 0 frames"):
        aligner(np.zeros(100, dtype=np.float32), "a")
    with pytest.raises(UserError, match="the vocabulary lacks Z Ž of 'aŽ Z'"):
        aligner(np.zeros(16000, dtype=np.float32), "aŽ Z")
