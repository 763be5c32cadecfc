"""Fixtures: a corpus of tones and trainings on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.espnet_task.tones import Corpus, Train, settings, write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The generated corpus."""
    return write_corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def train(corpus: Corpus, tmp_path: Path) -> Train:
    """``train(name, *options, **changes of the settings)`` trains in this process and returns the output
    directory.
    """

    def run(name: str, *options: str, **changes: Any) -> Path:
        from xlsrt.bin.asr_train import main

        torch.set_num_threads(1)
        config = tmp_path / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings(**changes)))
        output = tmp_path / name
        main(["--config", str(config), "--output_dir", str(output), *corpus.options, *options])
        return output

    return run
