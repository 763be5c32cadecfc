"""The benchmark of data preparation: its corpus, its measurements, its errors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.data.reading import prepare, table
from xlsrt.bench.data import measure, write_release
from xlsrt.bin.bench import main
from xlsrt.errors import UserError


def test_the_corpus_is_whole(tmp_path: Path) -> None:
    write_release(tmp_path / "cv", 50)
    data = prepare("common_voice", tmp_path / "cv", tmp_path / "data")
    assert len(table(data / "train" / "text")) == 50 and len(table(data / "train" / "spk2utt")) == 5
    assert not (data / "train" / "dropped").exists()


def test_memory_and_time_are_those_of_the_command(tmp_path: Path) -> None:
    small = measure([sys.executable, "-c", "pass"], tmp_path / "log")
    large = measure([sys.executable, "-c", "x = b'x' * (200 << 20); sum(range(10 ** 7))"], tmp_path / "log")
    assert 1 < small[2] < 60 and 190 < large[2] - small[2] < 215
    assert small[1] < large[1] <= large[0] + 0.1
    with pytest.raises(UserError, match="failed: no luck"):
        measure([sys.executable, "-c", "import sys; sys.exit('no luck')"], tmp_path / "log")


def test_too_few_utterances_are_refused() -> None:
    with pytest.raises(UserError, match=r"--utterances 10: at least 1000"):
        main(["data", "--utterances", "10"])
