from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.report import environment
from xlsrt.report.results import plain_table, summary_text, write_all_results, write_model_results
from xlsrt.report.scoring import score_files
from xlsrt.report.significance import bootstrap_interval


@pytest.fixture
def expdir(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text("u1 a b\nu2 c d\n")
    for model, hyp in (("asr_1", "u1 a b\nu2 c d\n"), ("asr_2b", "u1 a x\nu2 c\n")):
        (tmp_path / "hyp").write_text(hyp)
        score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "exp" / model / "decode_x_best" / "test")
    return tmp_path / "exp"


def test_all_results_are_collected(expdir: Path) -> None:
    results = write_all_results(expdir, command="./run.sh --stage 11")
    text = (expdir / "RESULTS.md").read_text()
    assert "|decode_x_best/test|2|4|50.0|25.0|25.0|0.0|50.0|100.0|50.0 to 50.0|" in text
    assert "|decode_x_best/test|2|4|100.0|0.0|0.0|0.0|0.0|0.0|0.0 to 0.0|" in text
    assert "- command: `./run.sh --stage 11`" in text
    assert "- date: `" in text and "Git hash: `" in text
    assert "|test|asr_2b|decode_x_best|2|4|50.0|50.0|-|100.0|50.0 to 50.0|" in text
    assert "asr_2b" not in (expdir / "asr_1" / "RESULTS.md").read_text()
    table = summary_text(results).splitlines()
    head = ["dataset", "model", "decoding", "Snt", "Wrd", "WER", "CER", "TER", "S.Err", "95 % of WER"]
    assert table[0].split() == " ".join(head).split(), "the columns ESPnet users know come first"
    assert [line.split()[5] for line in table[2:]] == ["0.0", "50.0"]
    assert [line.split()[-3:] for line in table[2:]] == [["0.0", "to", "0.0"], ["50.0", "to", "50.0"]]


def test_to_look_changes_neither_date_nor_command(expdir: Path) -> None:
    """The head says which run the scores are from; it is made anew with other scores and by another run."""
    files = (expdir / "RESULTS.md", expdir / "asr_1" / "RESULTS.md")
    write_all_results(expdir, command="./run.sh --lang  en\n\n--ngpu 0")
    for path in files:
        assert "- command: `./run.sh --lang en --ngpu 0`" in path.read_text()
        path.write_text(path.read_text().replace("- date: `", "- date: `once "))
    before = [path.read_text() for path in files]
    write_all_results(expdir)
    assert [path.read_text() for path in files] == before
    shutil.rmtree(expdir / "asr_2b")
    write_all_results(expdir)
    assert [path.read_text() == was for path, was in zip(files, before, strict=True)] == [False, True]
    assert "command" not in files[0].read_text() and "asr_2b" not in files[0].read_text()
    write_all_results(expdir, command="./run.sh again")
    assert all("once" not in path.read_text() and "`./run.sh again`" in path.read_text() for path in files)


def test_the_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: a b\n")
    assert environment.cpu_model(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert environment.cpu_model(tmp_path / "none") == platform.processor()
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\nfor n in 0 1; do echo "GPU $n: NVIDIA H200 (UUID: GPU-$n)"; done\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(environment, "gpu_models", environment.gpu_models.__wrapped__)
    (machine,) = [line for line in environment.describe() if line.startswith("- machine: ")]
    assert machine.endswith("2 x NVIDIA H200`") and environment.cpu_model() in machine
    tool.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert environment.gpu_models() == ""


def test_a_score_that_was_not_finished_is_left_out(expdir: Path) -> None:
    (expdir / "asr_1" / "decode_x_best" / "test" / "score_wer" / "score.json").unlink()
    assert "### WER" not in "".join(r.metric.upper() for r in write_model_results(expdir / "asr_1"))
    assert "### WER" not in (expdir / "asr_1" / "RESULTS.md").read_text()


def test_scores_come_with_their_intervals(tmp_path: Path) -> None:
    """Of ten words in ten utterances three are wrong: the interval is that of the definition."""
    lines = [f"u{i} a" for i in range(10)]
    (tmp_path / "ref").write_text("\n".join(lines))
    (tmp_path / "hyp").write_text("\n".join(lines[:7] + [f"u{i} b" for i in range(7, 10)]))
    score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "exp" / "asr_1" / "decode_x" / "test")
    write_model_results(tmp_path / "exp" / "asr_1")
    text = (tmp_path / "exp" / "asr_1" / "RESULTS.md").read_text()
    low, high = bootstrap_interval([0] * 7 + [1] * 3, [1] * 10)
    assert low < 30.0 < high
    assert f"|decode_x/test|10|10|70.0|30.0|0.0|0.0|30.0|30.0|{low:.1f} to {high:.1f}|" in text


def test_scores_of_earlier_versions_have_no_interval(expdir: Path) -> None:
    path = expdir / "asr_1" / "decode_x_best" / "test" / "score_wer" / "score.json"
    content = json.loads(path.read_text())
    del content["interval"]
    path.write_text(json.dumps(content))
    write_model_results(expdir / "asr_1")
    assert (
        "|decode_x_best/test|2|4|100.0|0.0|0.0|0.0|0.0|0.0|-|"
        in (expdir / "asr_1" / "RESULTS.md").read_text()
    )


@pytest.mark.parametrize(
    "content", ["{", "[]", "caf\xe9", '{"metric": "wer"}', '{"metric": "wer", "utterances": "2"}']
)
def test_a_damaged_score_is_named_and_the_rest_collected(
    expdir: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = expdir / "asr_1" / "decode_x_best" / "test" / "score_wer" / "score.json"
    damaged.write_bytes(content.encode("latin-1"))
    results = write_all_results(expdir)
    assert f"{damaged} is damaged" in caplog.text and "remove it and score the set again" in caplog.text
    assert [(r.model, r.metric) for r in results] == [("asr_1", "cer"), ("asr_2b", "cer"), ("asr_2b", "wer")]
    # Another model all of whose scores are damaged.
    (damaged.parents[1] / "score_cer" / "score.json").write_text("{}")
    assert {r.model for r in write_all_results(expdir)} == {"asr_2b"}


def test_damaged_delays_leave_the_rest(expdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (expdir / "asr_1/decode_x_best/test/latency.json").write_text('{"words": 3}')
    write_all_results(expdir)
    assert "latency.json is damaged" in caplog.text
    assert "### WER" in (expdir / "asr_1/RESULTS.md").read_text()


def test_nothing_to_collect(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.sh stages 10 and 11"):
        write_all_results(tmp_path)
    with pytest.raises(UserError, match=r"run\.sh stages 10 and 11"):
        write_model_results(tmp_path)


def test_plain_table_aligns_figures_right() -> None:
    assert plain_table(("name", "WER"), [("a", "1.0"), ("long", "10.0")]).splitlines() == [
        "name   WER",
        "----  ----",
        "a      1.0",
        "long  10.0",
    ]
