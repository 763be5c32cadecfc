"""Forced alignment of a set with a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alignment.make import letter_model, three_recordings
from xlsrt.bin.align import main
from xlsrt.ctm import aligned_by, read_ctm
from xlsrt.errors import UserError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return letter_model(tmp_path / "exp")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return three_recordings(tmp_path / "data")


def test_a_set_with_a_model(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "times.ctm"
    command = ["--model", str(model), "--data_dir", str(data), "--output"]
    main([*command, str(output)])
    assert "3 words of 2 utterances, 1 utterances are left out (u3)" in capsys.readouterr().out
    assert "u3 is left out: 8 tokens do not fit into 4 frames" in caplog.text
    assert aligned_by(output) == str(model)
    rows = [line.split() for line in output.read_text().splitlines()[1:]]
    assert [(row[0], row[4]) for row in rows] == [("u1", "bad"), ("u1", "cab"), ("u2", "a")]
    first, second = ((float(row[2]), float(row[3])) for row in rows[:2])
    assert 0 <= first[0] < first[0] + first[1] <= second[0] < 2.0 and 0 < float(rows[0][5]) <= 1
    # The times against themselves, and against the same 50 ms later.
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(output)])
    assert "error of starts: median 0 ms" in capsys.readouterr().out
    late = tmp_path / "late.ctm"
    late.write_text("".join(f"{r[0]} 1 {float(r[2]) + 0.05:.3f} {r[3]} {r[4]}\n" for r in rows))
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(late), "--context", "full"])
    said = capsys.readouterr().out
    assert "(3 words)" in said and "with sign" in said
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(late), "--quiet"])
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="would overwrite the true times"):
        main([*command, str(late), "--word_times", str(late)])


def test_an_hour_is_refused_where_attention_has_no_bounds(
    model: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letter_model(model, config={"max_stream_seconds": 1.5})
    output = tmp_path / "times.ctm"
    command = ["--exp_dir", str(model), "--data_dir", str(data), "--output", str(output), "--context"]
    main([*command, "full"])
    assert "u1 is left out: 2 s are too long for a context without bounds (full attention)" in caplog.text
    assert list(read_ctm(output)) == ["u2"]
    main([*command, "640,640,16"])
    assert list(read_ctm(output)) == ["u1", "u2"]


def test_a_model_without_ctc_head_is_named(tmp_path: Path, data: Path) -> None:
    letter_model(tmp_path / "exp", model_conf={"ctc_weight": 0.0})
    with pytest.raises(UserError, match=r"exp has no CTC head.*model_conf.ctc_weight above 0"):
        main(["--model", str(tmp_path / "exp"), "--data_dir", str(data), "--output", str(tmp_path / "x.ctm")])
    assert not (tmp_path / "x.ctm").exists()


def test_a_set_without_text(model: Path, data: Path, tmp_path: Path) -> None:
    (data / "text").unlink()
    with pytest.raises(UserError, match="has no text"):
        main(["--model", str(model), "--data_dir", str(data), "--output", str(tmp_path / "x.ctm")])
