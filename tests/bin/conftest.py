from __future__ import annotations

from pathlib import Path

import pytest

from tests.bin.decoding import make_setup


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    return make_setup(tmp_path)
