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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed 256", "--seed 256: give 0 to 255"),
        ("--seed -1", "--seed -1: give 0 to 255"),
        ("--updates -1", "--updates -1: give a number from 0 on"),
        ("--batch_seconds nan", "--batch_seconds nan: give a number above 0"),
        ("--batch_seconds 0", "--batch_seconds 0: give a number above 0"),
        ("--peak_lr -1", "--peak_lr -1: give a number above 0"),
        ("--peak_lr inf", "--peak_lr inf: give a number above 0"),
        ("--weight_decay nan", "--weight_decay nan: give a number from 0 on"),
        ("--full_prob 7", "--full_prob 7: give a number from 0 to 1"),
        ("--frame_weight_end -0.1", "--frame_weight_end -0.1: give a number from 0 to 1"),
        ("--num_workers -1", "--num_workers -1: give a number from 0 on"),
        ("--threads -1", "--threads -1: give a number from 0 on"),
        ("--valid_utterances 0", "--valid_utterances 0: give a number from 1 on"),
        ("--preset tinny", "unknown preset 'tinny'"),
        ("--init /nowhere", "/nowhere: no such file or directory"),
    ],
)
def test_mistakes_are_named_before_any_speech_is_made(
    tmp_path: Path, monkeypatch, words: str, message: str
) -> None:
    monkeypatch.setattr(phonemes, "make_utterance", lambda seed: pytest.fail("speech was made"))
    with pytest.raises(UserError, match=message):
        pretrain.main(["--output_dir", str(tmp_path / "out"), *words.split()])
    assert not (tmp_path / "out").exists()


def test_a_configuration_names_the_objective(tmp_path: Path, monkeypatch) -> None:
    from xlsrt.espnet_task.ssl_task import XlsrSslTask

    asked: list[list[str]] = []
    monkeypatch.setattr(XlsrSslTask, "main", lambda cmd: asked.append(cmd))
    for text in ("objective: best_rq", "objective: contrastive"):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        pretrain.main(["--config", str(tmp_path / "a.yaml"), "--output_dir", "x"])
    assert asked == [["--config", str(tmp_path / "a.yaml"), "--output_dir", "x"]] * 2
    for text in ("max_epoch: 3", "objective: phonemes"):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=r"a\.yaml: its objective is .*write best_rq or contrastive"):
            pretrain.main(["--config", str(tmp_path / "a.yaml"), "--output_dir", "x"])
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        pretrain.main(["--config", str(tmp_path / "nowhere.yaml"), "--output_dir", "x"])
