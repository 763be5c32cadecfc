"""Several languages as one training set: what the corpora's presets take, and what stage 2 leaves for it."""

from __future__ import annotations

import os
import subprocess
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.data.reading import prepare, table
from tests.data.test_fleurs_voxpopuli import fleurs
from tests.recipe.test_presets import options
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.tree import overlay, read_tree

ROOT = Path(__file__).resolve().parents[2]
CORPORA = {"common_voice": "es fr", "fleurs": "et_ee ca_es", "mls": "it es", "voxpopuli": "es fr"}


def layers(given: str) -> dict[str, Any]:
    """What ``--train_config`` means."""
    return reduce(overlay, (read_tree(ROOT / name) for name in given.split()))


def test_the_balanced_configuration_differs_by_the_balance_alone() -> None:
    plain = read_tree(ROOT / "conf/train_xlsr53.yaml")
    balanced = layers("conf/train_xlsr53.yaml conf/balanced.yaml")
    assert balanced == {**plain, "language_balance": 0.5}


@pytest.mark.parametrize("corpus", sorted(CORPORA))
def test_several_languages_are_balanced_and_one_is_not(corpus: str, tmp_path: Path) -> None:
    languages = CORPORA[corpus]
    given = options(tmp_path / "several", corpus, LANGUAGES=languages)
    assert layers(given["--train_config"])["language_balance"] == 0.5
    assert layers(given["--train_config"])["encoder_conf"] == layers("conf/train_xlsr53.yaml")["encoder_conf"]
    assert given["--test_sets"].split() == [f"test_{code}" for code in languages.split()]
    assert given["--nbpe"] == "1000" and Path(given["--workdir"]).name == languages.replace(" ", "_")
    for number, chosen in enumerate(("", languages.split()[0])):
        given = options(tmp_path / str(number), corpus, LANGUAGES=chosen)
        assert given["--train_config"] == "conf/train_xlsr53.yaml" and given["--test_sets"] == "test"
    mine = options(tmp_path / "mine", corpus, "--train_config", "mine.yaml", LANGUAGES=languages)
    assert mine["--train_config"] == "mine.yaml"


@pytest.mark.parametrize("corpus", sorted(CORPORA))
def test_run_sh_finds_the_balanced_configuration(corpus: str, tmp_path: Path) -> None:
    """It looks configurations up first, and stops at the source that is not there."""
    words = ["--workdir", str(tmp_path / "work"), "--stop_stage", "1"]
    variables = {"LANGUAGES": CORPORA[corpus], corpus.upper(): "nowhere"}
    done = subprocess.run(
        [ROOT / "egs" / corpus / "run.sh", *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert "nowhere: no such folder" in done.stdout + done.stderr, done.stderr


def test_every_formatted_utterance_has_its_language(tmp_path: Path) -> None:
    for code in ("et_ee", "ca_es"):
        fleurs(tmp_path / "corpus", code)
    data = prepare("fleurs", tmp_path / "corpus", tmp_path / "data")
    format_set(data / "train", tmp_path / "dump", FormatOptions(speeds=(0.9, 1.0)))
    languages = table(tmp_path / "dump" / "utt2lang")
    assert languages.keys() == table(tmp_path / "dump" / "wav.scp").keys() and len(languages) == 12
    assert languages["sp0.9-ca_es-00005-11"] == "ca_es"
