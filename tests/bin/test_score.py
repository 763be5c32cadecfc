from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xlsrt.bin.score import main
from xlsrt.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def score(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text("u1 a b\n")
    (tmp_path / "hyp").write_text("u1 a c\n")
    out = tmp_path / "exp" / "asr_1" / "decode_offline_best" / "test"
    main(["--ref", str(tmp_path / "ref"), "--hyp", str(tmp_path / "hyp"), "--score_dir", str(out)])
    return tmp_path / "exp"


def test_score_then_collect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expdir = score(tmp_path)
    assert "WER 50.00 %" in capsys.readouterr().out
    main(["--expdir", str(expdir), "--command", "./run.sh"])
    assert "asr_1" in capsys.readouterr().out
    assert (expdir / "RESULTS.md").is_file() and (expdir / "asr_1" / "RESULTS.md").is_file()
    main(["--asr_exp", str(expdir / "asr_1"), "--quiet"])
    assert capsys.readouterr().out == ""


def test_two_systems_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(tmp_path)
    (tmp_path / "ref").write_text("".join(f"u{i} a b\n" for i in range(40)))
    (tmp_path / "hyp").write_text("".join(f"u{i} a {'b' if i % 2 else 'c'}\n" for i in range(40)))
    (tmp_path / "other").write_text("".join(f"u{i} a {'b' if i % 4 else 'c'}\n" for i in range(40)))
    options = [
        "--ref",
        str(tmp_path / "ref"),
        "--hyp",
        str(tmp_path / "hyp"),
        "--score_dir",
        str(tmp_path / "s"),
    ]
    main([*options, "--compare", str(tmp_path / "other")])
    assert "+12.50 % absolute" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--ref", "a"], ["--ref", "a", "--expdir", "d"]])
def test_which_options_belong_together(options: list[str]) -> None:
    with pytest.raises(UserError, match="--expdir or --asr_exp"):
        main(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--expdir", "d", "--compare", "o"], "--compare is for --score_dir"),
        (["--expdir", "d", "--bpemodel", "b"], "--bpemodel is for --score_dir"),
        (["--asr_exp", "d", "--utt2spk", "u"], "--utt2spk is for --score_dir"),
        (["--ref", "a", "--hyp", "b", "--score_dir", "c", "--command", "x"], "--command is for --expdir"),
        (
            ["--ref", "a", "--hyp", "b", "--score_dir", "c", "--compare", "o", "--quiet"],
            "--compare is printed only",
        ),
    ],
)
def test_options_without_effect_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(options)


def test_quiet_says_only_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("u1 a b\nu2\n")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "xlsrt.bin.score", "--ref", str(tmp_path / "ref"), "--hyp"]
    command += [str(tmp_path / "ref"), "--score_dir", str(out)]
    for options, said in (([], True), (["--quiet"], False)):
        (out / "score_ter").mkdir(parents=True, exist_ok=True)
        (out / "score_ter" / "score.json").touch()  # that it is removed is a line of the log
        result = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
        assert ("INFO: " in result.stderr, bool(result.stdout)) == (said, said)
        assert "WARNING: " in result.stderr


def test_a_user_error_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xlsrt.bin.score", "--expdir", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_a_folder_is_not_taken_for_a_file(tmp_path: Path) -> None:
    score(tmp_path)
    options = ["--ref", str(tmp_path / "ref"), "--hyp", str(tmp_path), "--score_dir", str(tmp_path / "s")]
    with pytest.raises(UserError, match=f"{tmp_path} is a folder"):
        main(options)


def test_show_results_prints_the_table(tmp_path: Path) -> None:
    expdir = score(tmp_path)
    damaged = expdir / "asr_1" / "decode_other" / "test" / "score_wer" / "score.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    env = {**os.environ, "XLSRT_PYTHON": sys.executable}
    command = [str(ROOT / "utils" / "show_results.sh"), str(expdir)]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "decode_offline_best" in result.stdout and "decode_other" not in result.stdout
    assert "95 % of WER" in result.stdout and f"WARNING: left out: {damaged} is damaged" in result.stderr
