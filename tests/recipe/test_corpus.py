"""Stage 1: what a corpus's script reads, by variable, by default or by option; what it makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from xlsrt.bin import prepare_corpus
from xlsrt.errors import UserError
from xlsrt.recipe.corpus import preparation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a corpus that makes train and dev; it looks like those of egs/."""
    path = tmp_path / "egs/local/data.sh"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"""#!/usr/bin/env bash
here=$(cd "$(dirname "$0")" && pwd)
list=${{CORPUS:-$here/../downloads/list.csv}} kind=${{KIND:-manifest}}
for set in ${{SETS:-train dev}}; do mkdir -p data/$set; echo "a $list $kind $*" > data/$set/wav.scp; done
echo x >> {tmp_path}/runs
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in ("CORPUS", "KIND", "SETS", "OWN", "MLS", "LANGUAGES"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def runs(script: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs stage 1 twice; returns how many times the script has been called since the first."""

    def run(*options: str, sets: tuple[str, ...] = ("train", "dev")) -> int:
        words = ["--script", str(script), "--output_dir", "data", "--sets", *sets]
        words += ["--written", "dump", "exp"]  # as run.sh says, wherever they are
        for nj in ("1", "2"):
            assert prepare_corpus.main([*words, "--nj", nj, "--", *options]) == 0
        return (tmp_path / "runs").read_text(encoding="utf-8").count("x")

    return run


def test_a_changed_list_or_variable_or_option_is_prepared_anew(runs, script, tmp_path, monkeypatch) -> None:
    downloads = script.parents[1] / "downloads"
    downloads.mkdir()
    assert runs() == 1
    (downloads / "list.csv").write_text("1", encoding="utf-8")
    assert runs() == 2, "at its default place"
    (downloads / "list.csv").write_text("2", encoding="utf-8")
    assert runs() == 3
    (tmp_path / "other.csv").write_text("1", encoding="utf-8")
    assert [runs("--source=other.csv"), runs("--source", "other.csv")] == [4, 5]
    (tmp_path / "other.csv").write_text("2", encoding="utf-8")
    assert runs("--source", "other.csv") == 6
    (tmp_path / "other.csv").write_text("3", encoding="utf-8")
    assert runs("--source=other.csv") == 7
    (tmp_path / "other.csv").write_text("4", encoding="utf-8")
    assert runs("--source=other.csv") == 8
    monkeypatch.setenv("CORPUS", "other.csv")
    assert runs() == 9
    (tmp_path / "other.csv").write_text("5", encoding="utf-8")
    assert runs() == 10
    (downloads / "list.csv").write_text("3", encoding="utf-8")
    assert runs() == 10, "it is not read"
    monkeypatch.setenv("KIND", "folder")
    assert runs() == 11


def test_a_changed_folder_is_prepared_anew(runs, tmp_path, monkeypatch) -> None:
    (tmp_path / "talks").mkdir()
    monkeypatch.setenv("CORPUS", str(tmp_path / "talks"))
    assert runs() == 1
    (tmp_path / "talks/a.txt").write_text("one", encoding="utf-8")
    assert runs() == 2
    (tmp_path / "talks/a.txt").write_text("two words", encoding="utf-8")
    assert runs() == 3
    assert [runs("--audio_dir", "talks"), runs("--audio_dir=talks")] == [4, 5]
    step = preparation(tmp_path / "egs/local/data.sh", tmp_path, ["train"], ["--audio_dir", "made"], 1)
    (tmp_path / "made").mkdir()
    (tmp_path / "made/a.flac").touch()
    again = preparation(tmp_path / "egs/local/data.sh", tmp_path, ["train"], ["--audio_dir", "made"], 1)
    assert again.fingerprint() == step.fingerprint(), "it is written, not read"


def test_what_the_recipe_writes_does_not_prepare_anew(runs, tmp_path, monkeypatch) -> None:
    """Nor does audio, which stage 2 looks at."""
    given = (
        ["--audio_root", "."],
        ["--audio_root=talks"],
        ["--source", "."],
        ["--source=data"],
        ["--x", "exp"],
    )
    for number, options in enumerate(given, 1):
        assert runs(*options) == number
        for place in ("talks", "data/train", "dump/raw", "exp"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / place / f"new{number}").touch()
        assert runs(*options) == number, options


def test_the_scripts_of_our_corpora_say_what_they_read(script, tmp_path, monkeypatch) -> None:
    def found(corpus: str) -> str:
        local = tmp_path / corpus / "local"
        local.mkdir(parents=True, exist_ok=True)
        (local / "data.sh").write_bytes((ROOT / f"egs/{corpus}/local/data.sh").read_bytes())
        return preparation(local / "data.sh", tmp_path / "data", ["train"], [], 1).fingerprint()

    for corpus, place in (
        ("own", "own/downloads/own.csv"),
        ("an4", "downloads/an4/etc"),
        ("librispeech", "librispeech/downloads/LibriSpeech/SPEAKERS.TXT"),
        ("mls", "mls/downloads/mls_spanish/train.txt"),
    ):
        before = found(corpus)
        assert before == found(corpus)
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
        assert found(corpus) != before, corpus
    before = found("mls")
    (tmp_path / "mls/downloads/mls_italian").mkdir()
    (tmp_path / "mls/downloads/mls_italian/train.txt").touch()
    assert found("mls") == before, "it is of another language"
    monkeypatch.setenv("LANGUAGES", "es it")
    before = found("mls")
    (tmp_path / "mls/downloads/mls_italian/dev.txt").touch()
    assert found("mls") != before
    monkeypatch.setenv("MLS", str(tmp_path / "elsewhere"))
    before = found("mls")
    (tmp_path / "mls/downloads/mls_spanish/dev.txt").touch()
    assert found("mls") == before


@pytest.mark.parametrize("words", [["--source", "talks"], ["--source=talks"]])
def test_the_kind_of_ones_own_source_is_told_from_the_option(tmp_path, words: list[str], script) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    (tmp_path / "python").chmod(0o755)
    env = {**os.environ, "XLSRT_PYTHON_BIN": str(tmp_path / "python")}
    command = [str(ROOT / "egs/own/local/data.sh"), *words]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert "prepare_data folder --source" in said


def test_a_set_that_is_never_made_is_said(runs) -> None:
    assert runs() == 1
    with pytest.raises(UserError, match=r"data/tset: .*data.sh does not make this set; there are dev, train"):
        runs(sets=("train", "tset"))


def test_languages_to_balance_are_asked_for_before_stage_2(script: Path, tmp_path: Path) -> None:
    words = ["--script", str(script), "--output_dir", "data", "--sets", "train", "dev", "--train_config"]
    assert prepare_corpus.main([*words, str(ROOT / "conf/train_small.yaml"), "--"]) == 0
    with pytest.raises(UserError, match=r"data/train/utt2lang: no such file, so the languages cannot be"):
        prepare_corpus.main([*words, str(ROOT / "conf/balanced.yaml"), "--"])
    (tmp_path / "data/train/utt2lang").touch()
    assert prepare_corpus.main([*words, str(ROOT / "conf/balanced.yaml"), "--"]) == 0


def test_a_corpus_needs_a_script(tmp_path: Path) -> None:
    words = ["--output_dir", str(tmp_path), "--sets", "train"]
    with pytest.raises(UserError, match=r"data\.sh: no such file: it makes the sets"):
        prepare_corpus.main(["--script", str(tmp_path / "data.sh"), *words])
