from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt.bin.plot_attention import main
from xlsrt.errors import UserError


def test_pictures(tmp_path: Path) -> None:
    main(["--output_dir", str(tmp_path), "--format", "svg", "--context", "full", "--context", "320,320,4"])
    for name in ("patterns.svg", "density.svg", "memory.svg", "stream.svg"):
        assert (tmp_path / name).read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "stream.gif").read_bytes().startswith(b"GIF8")
    assert not (tmp_path / "attention.json").exists()


def test_measured_attention(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_exp(tmp_path / "exp")
    soundfile.write(tmp_path / "a.wav", noise(1.5).numpy(), 16000)
    command = ["--output_dir", str(tmp_path / "out"), "--model", str(model), "--wav", str(tmp_path / "a.wav")]
    main(command)
    facts = json.loads((tmp_path / "out" / "attention.json").read_text())
    assert facts["context"] == {"chunk_ms": 320, "left_ms": 320, "sink_frames": 4} and facts["first"] == 4
    assert "share of attention on the first 4 frames" in capsys.readouterr().out
    for name in ("heads.png", "sinks.png", "received.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    main([*command, "--context", "full", "--first", "7", "--quiet"])
    assert capsys.readouterr().out == ""
    facts = json.loads((tmp_path / "out" / "attention.json").read_text())
    assert facts["context"]["chunk_ms"] is None and facts["first"] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seconds", "0"], "--seconds 0"),
        (["--seconds", "nan"], "--seconds nan: pictures show 0.02 s .* to 40 s"),
        (["--seconds", "1e9"], "to 40 s"),
        (["--packet_ms", "nan"], "--packet_ms nan"),
        (["--packet_ms", "1e9"], "at most 40000"),
        (["--seconds", "40", "--packet_ms", "0.1"], "at least 20"),
        (["--model", "exp"], "both --model and --wav"),
        (["--first", "0"], "--first 0"),
        (["--first", "4"], "--first is for --model"),
        (["--model_file", "valid.ter.best.pth"], "--model_file is for --model"),
        (["--model", "exp", "--wav", "none.wav"], "none.wav does not exist"),
        (["--packet_ms", "0"], "packets of 0.0 ms"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(["--output_dir", str(tmp_path), *options])
