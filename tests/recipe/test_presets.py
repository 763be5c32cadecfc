"""What the scripts in ``egs/`` hand to ``run.sh``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from xlsrt.recipe.stages import load_stages

ROOT = Path(__file__).resolve().parents[2]
CORPORA = sorted(path.parent.name for path in ROOT.glob("egs/*/run.sh"))


def options(tmp_path: Path, corpus: str, *words: str, **variables: str) -> dict[str, str]:
    """What reaches ``run.sh``; of options given twice the last counts, as there."""
    folder = tmp_path / "egs" / corpus
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "egs" / corpus / "run.sh", folder)
    fake = tmp_path / "run.sh"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        [folder / "run.sh", *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) % 2 == 0
    return dict(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize("languages", ["et", "cy"])
def test_small_languages_get_few_tokens_and_many_epochs(languages: str, tmp_path: Path) -> None:
    given = options(tmp_path, "common_voice", LANGUAGES=languages)
    assert given["--nbpe"] == "150" and given["--speed_perturb_factors"] == "0.9 1.0 1.1"
    assert os.path.samefile(Path(given["--stages_config"]).parents[1], tmp_path)
    assert given["--test_sets"] == "test" and Path(given["--workdir"]).parts[-2:] == ("work", languages)


@pytest.mark.parametrize("language", ["ca", "be", "es", "fr", "it"])
def test_large_languages_take_the_table_of_the_corpus(language: str, tmp_path: Path) -> None:
    given = options(tmp_path, "common_voice", LANGUAGES=language)
    assert given["--nbpe"] == "500"
    assert "--stages_config" not in given and "--speed_perturb_factors" not in given


def test_several_languages_are_tested_each(tmp_path: Path) -> None:
    given = options(tmp_path, "common_voice", "--nbpe", "800", LANGUAGES="es fr")
    assert given["--test_sets"] == "test_es test_fr" and Path(given["--workdir"]).parts[-2:] == (
        "work",
        "es_fr",
    )
    assert given["--nbpe"] == "800" and "--stages_config" not in given


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_has_a_stage_table_that_loads(corpus: str) -> None:
    table = load_stages(str(ROOT / "conf/stages.yaml"), str(ROOT / "egs" / corpus / "conf/stages.yaml"))
    assert {variant.stage for variant in table.variants.values()} == {1, 2, 3, 4, 5}
    assert all(variant.epochs for variant in table.variants.values())
