from __future__ import annotations

from pathlib import Path

import pytest

from tests.bin.decoding import make_setup

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    return make_setup(tmp_path)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of check_start for a run that trains, and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    given = ["--stages_config", str(ROOT / "conf/stages.yaml"), "--asr_exp", str(tmp_path / "exp/asr")]
    return [*given, "--train_config", str(ROOT / "conf/train_tiny.yaml")]
