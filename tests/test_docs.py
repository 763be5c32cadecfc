"""The Python in README and docs runs as it stands, and links between pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer
from xlsrt.search.options import check_search

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(ROOT.glob("egs/*/*.md"))


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("name", ["README.md", "docs/python.md", "docs/encoder.md"])
def test_the_python_of_a_page_runs(name, tmp_path, monkeypatch, capsys):
    make_exp(tmp_path / "exp/asr_small_char_stage5b", blank_bias=9.0)
    wav = noise(3.0).clamp(-1, 1).numpy()
    soundfile.write(tmp_path / "talk_16k.wav", wav, 16000)
    soundfile.write(tmp_path / "talk.flac", wav[::2], 8000)
    monkeypatch.chdir(tmp_path)
    known = {"microphone": lambda: iter([wav[:20000], wav[20000:]]), "packet": wav[:999], "another": wav}
    codes = snippets(ROOT / name)
    assert codes
    for code in codes:
        if code.startswith("{"):  # settings, one a line; n-gram models of the model's own are not there
            for line in code.splitlines():
                settings = eval(line.partition("#")[0])
                check_search(settings)
                if "lm" not in settings:
                    Recognizer.from_exp("exp/asr_small_char_stage5b", search=settings)
        else:
            exec(code, known)
    assert name == "docs/encoder.md" or capsys.readouterr().out.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
