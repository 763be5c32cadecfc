"""The examples of docs/search.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import soundfile
import yaml

from tests.recognizer.make import make_exp, noise
from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs/search.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


def test_the_function_of_tokens(tmp_path, monkeypatch, capsys):
    make_exp(tmp_path / "exp/asr_small_char_stage5b", blank_bias=5.0)
    soundfile.write(tmp_path / "talk.flac", noise(3.0).clamp(-1, 1).numpy(), 16000)
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    known = {}
    exec(code, known)
    assert len(capsys.readouterr().out.strip()) > 5
    assert known["recognizer"].search.fusion.parts[0][0].function is known["expected"]


def test_a_decode_file_of_ones_own():
    (content,) = (text for text in blocks("yaml") if "context:" in text)
    config = DecodeConfig.from_dict(yaml.safe_load(content))
    assert config.context == AttentionContext.from_ms(320, 1280, 0) and config.search["type"] == "beam"
    assert len(content.splitlines()) == 6
