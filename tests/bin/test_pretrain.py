from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.bin import pretrain
from xlsrt.errors import UserError
from xlsrt.pretrain import phonemes
from xlsrt.pretrain.loop import PretrainOptions


def test_options_reach_the_training(tmp_path: Path, monkeypatch) -> None:
    asked: list[object] = []

    def stand_in(output_dir: Path, options: PretrainOptions, **more: object) -> Path:
        asked.extend([options, more])
        return output_dir / "encoder"

    monkeypatch.setattr(phonemes, "pretrain_phonemes", stand_in)
    pretrain.main(["--output_dir", str(tmp_path), "--updates", "5", "--no-amp", "--init", "x"])
    more = {"preset": "small", "init": "x", "num_workers": 1, "threads": 0}
    more |= {"valid_utterances": 100, "dtype": "float16"}
    assert asked == [PretrainOptions(updates=5, amp=False), more]


def test_a_seed_too_far_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--seed 256: give 0 to 255"):
        pretrain.main(["--output_dir", str(tmp_path / "out"), "--seed", "256"])
