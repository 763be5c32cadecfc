"""Each corpus's README says what its users ask first."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Your own recordings have no licence and no published figures.
CORPORA = sorted({path.parent.name for path in ROOT.glob("egs/*/run.sh")} - {"own"})


@pytest.mark.parametrize("corpus", CORPORA)
def test_licence_hours_cost_and_published_figures(corpus: str) -> None:
    text = (ROOT / "egs" / corpus / "README.md").read_text(encoding="utf-8")
    for words in ("Licence", "hours", "## Cost", "GB", "H100", "T4", "## Published"):
        assert words.lower() in text.lower(), words
