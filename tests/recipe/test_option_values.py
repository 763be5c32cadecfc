"""Values of run.sh's options that a later stage would stumble over."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.options import check_model_choice, check_options, check_writable


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("audio_format", ["flac", "wav", "flac.ark", "auto"], ["mp3", ""]),
        ("gpu_inference", ["true", "false", "auto"], ["maybe"]),
        ("use_ngram", ["true", "auto"], ["yes"]),
        ("train_hours", ["all", "0.17", ".5", "10"], ["0", "0.0", "...", "-1", "most", "nan", "inf"]),
        ("speed_perturb_factors", ["", "1.0", "0.9 1.0 1.1"], ["a b", "0.9,1.1", "3", "0.1"]),
        ("nbpe", ["2", "400"], ["0", "1"]),
        ("nj", ["1"], ["0"]),
        ("inference_nj", ["2"], ["0"]),
        ("num_splits_asr", ["1", "8"], ["0"]),
        ("ngram_num", ["1"], ["0", "many"]),
        ("min_wav_duration", ["0", "0.1"], ["short"]),
        ("anything_else", ["", "x"], []),
    ],
)
def test_values(name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        check_options({name: value})
    for value in bad:
        with pytest.raises(UserError, match=f"^--{name} .*: write "):
            check_options({name: value})


def test_lengths_leave_something_between_them() -> None:
    check_options({"min_wav_duration": "0.1", "max_wav_duration": "30.0"})
    with pytest.raises(UserError, match=r"--min_wav_duration 40 --max_wav_duration 30.0: no utterance"):
        check_options({"min_wav_duration": "40", "max_wav_duration": "30.0"})


def test_model_files_are_there_or_may_come(tmp_path: Path) -> None:
    prefix = str(tmp_path / "asr")
    for choice in (
        "ave",
        "best",
        "12epoch.pth",
        "latest.pth",
        "valid.ter.best.pth",
        "valid.loss.ave_3best.pth",
    ):
        check_model_choice(choice, prefix)
    for choice in ("nope.pth", "Best", "asr"):
        with pytest.raises(UserError, match=rf"--inference_asr_model {choice}: no .*asr_stage\*/{choice}"):
            check_model_choice(choice, prefix)
    (tmp_path / "asr_stage5b").mkdir()
    (tmp_path / "asr_stage5b/nope.pth").touch()
    check_model_choice("nope.pth", prefix)


def test_places_can_be_written(tmp_path: Path) -> None:
    check_writable("--dumpdir", tmp_path / "a/b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--dumpdir .*file/b: cannot be written"):
        check_writable("--dumpdir", tmp_path / "file/b")
    with pytest.raises(UserError, match="--expdir /proc/x: cannot be written"):
        check_writable("--expdir", Path("/proc/x"))
