"""Word times by forced alignment, for sets of corpora that do not have them, on the way to delays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.alignment.make import letter_model, three_recordings
from xlsrt.ctm import aligned_by, read_ctm
from xlsrt.recipe import word_times
from xlsrt.recipe.decoding import Decoding
from xlsrt.recipe.evaluation import score
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.training import MARKER
from xlsrt.recipe.word_times import Aligning, align_step, find_times, first_stage
from xlsrt.report.latency import read_latency

ROOT = Path(__file__).resolve().parents[2]
BACKEND = str(ROOT / "utils/run.pl")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return three_recordings(tmp_path / "dump" / "test")


@pytest.fixture
def aligning(tmp_path: Path) -> Aligning:
    exp = letter_model(tmp_path / "exp" / "asr_stage1")
    (exp / MARKER).write_text("{}")
    return Aligning(exp, 0, BACKEND)


def streamed(data: Path, exp_dir: Path) -> Decoding:
    """A set that is said to have been decoded as streams, without one error."""
    variant = load_stages(str(ROOT / "conf/stages.yaml"))["5b"]
    plan = Decoding(variant, exp_dir, "valid.ter.ave.pth", ROOT / "conf/decode_streaming_640ms.yaml", data)
    out = plan.output_dir
    out.mkdir(parents=True)
    (out / ".decoded").write_text("{}")
    (out / "text").write_text((data / "text").read_text())
    context = {"chunk_ms": 640, "left_ms": 640, "sink_frames": 16}
    (out / "decoding.json").write_text(
        json.dumps({"context": context, "packet_ms": 80.0, "data_dir": str(data)})
    )
    words = "u1 1 0.1 0.2 bad\nu1 1 0.4 0.2 cab\nu2 1 0.1 0.2 a\nu3 1 0 0.1 aabbccdd\n"
    (out / "words.ctm").write_text(words)
    (out / "word_stable").write_text("u1 2 2\nu2 1\nu3 0.1\n")
    return plan


def test_from_a_set_without_times_to_its_delays(
    aligning: Aligning, data: Path, tmp_path: Path, capfd
) -> None:
    assert aligning.exp_dir is not None
    plan = streamed(data, aligning.exp_dir)
    before = sorted(path.name for path in data.iterdir())
    assert score([plan], tmp_path / "exp", aligning=aligning) == 0
    times = tmp_path / "exp/asr_stage1/word_times/test/word_times.ctm"
    assert aligned_by(times) == str(aligning.exp_dir) and list(read_ctm(times)) == ["u1", "u2"]
    assert "3 words of 2 utterances, 1 utterances are left out (u3)" in capfd.readouterr().out
    assert sorted(path.name for path in data.iterdir()) == before, "the user's directory stays as it was"
    found = read_latency(plan.output_dir)
    assert found is not None and found.words == 3 and found.aligned_by == str(aligning.exp_dir)
    results = (tmp_path / "exp/asr_stage1/RESULTS.md").read_text()
    assert "### Delays" in results and "|aligned|" in results
    # Nothing is done again; a changed text is aligned anew.
    assert score([plan], tmp_path / "exp", aligning=aligning) == 0
    assert "times of words in test by forced alignment: done already" in capfd.readouterr().out
    for text in (data / "text", plan.output_dir / "text"):
        text.write_text("u1 bad cab\nu2 b\nu3 a\n")
    assert score([plan], tmp_path / "exp", aligning=aligning) == 0
    assert "4 words of 3 utterances" in capfd.readouterr().out
    assert [word for word, _, _ in read_ctm(times)["u2"]] == ["b"]
    # Times of the set's own, which come later, are better.
    (data / "word_times.ctm").write_text("u1 1 0.1 0.2 bad\nu1 1 0.4 0.2 cab\n")
    assert score([plan], tmp_path / "exp", aligning=aligning) == 0
    found = read_latency(plan.output_dir)
    assert found is not None and found.aligned_by == "" and found.words == 2


def test_it_depends_on_model_and_text_alone(aligning: Aligning, data: Path) -> None:
    assert aligning.exp_dir is not None
    step = align_step(aligning, aligning.exp_dir, data)
    assert list(step.command[:3]) == [BACKEND, "--gpu", "0"] and list(step.command[-2:]) == [
        "--device",
        "cpu",
    ]
    elsewhere = align_step(Aligning(aligning.exp_dir, 4, "utils/slurm.pl"), aligning.exp_dir, data)
    assert elsewhere.command[1:3] == ["--gpu", "1"] and elsewhere.command[-1] == "cuda"
    before = step.fingerprint()
    assert elsewhere.fingerprint() == before
    (aligning.exp_dir / MARKER).write_text('{"trained": "again"}')
    assert step.fingerprint() != before


def test_what_cannot_be_aligned_is_said(aligning: Aligning, data: Path, tmp_path: Path, capfd) -> None:
    def said(how: Aligning) -> str:
        assert find_times(how, [data]) == (0, {})
        out, errors = capfd.readouterr()
        assert "no delays of words: " in out
        return out + errors

    assert "training stage 1, whose model would find them, is not trained" in said(
        replace(aligning, exp_dir=None)
    )
    assert aligning.exp_dir is not None
    (data / "text").write_text("u1 zzz\nu2 zzz\nu3 zzz\n")
    shown = said(aligning)
    assert "u1 is left out: the vocabulary lacks z" in shown and "could not be aligned, see above" in shown
    config = aligning.exp_dir / "config.yaml"
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "model_conf": {"ctc_weight": 0.0}}))
    assert f"{aligning.exp_dir} has no CTC head" in said(aligning)
    (data / "text").unlink()
    plan_without = align_step(aligning, aligning.exp_dir, data)
    assert str(data / "text") in plan_without.inputs


def test_one_that_is_killed_ends_the_rest(aligning: Aligning, data: Path, monkeypatch) -> None:
    begun = []
    monkeypatch.setattr(word_times, "run_step", lambda step: begun.append(step.title) or 143)
    assert find_times(aligning, [data, data.parent / "other"]) == (143, {}) and len(begun) == 1


def test_the_model_is_of_the_first_stage(tmp_path: Path) -> None:
    table = load_stages(str(ROOT / "conf/stages.yaml"))
    assert first_stage(table, tmp_path / "asr") is None
    for name in ("1", "5b"):
        (tmp_path / f"asr_stage{name}").mkdir()
        (tmp_path / f"asr_stage{name}" / MARKER).touch()
    assert first_stage(table, tmp_path / "asr") == tmp_path / "asr_stage1"
