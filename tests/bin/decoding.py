"""A small model and set, and `asr_decode` on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt.bin.asr_decode import main
from xlsrt.decoding.outputs import FILES

SECONDS = (0.9, 1.31, 0.02, 0.6, 1.6)
"""Among them an utterance of less than one encoder frame (0.025 s)."""


def make_setup(tmp_path: Path) -> Path:
    """exp/, data/ and decode.yaml."""
    make_exp(tmp_path / "exp", blank_bias=8.0)
    data = tmp_path / "data"
    data.mkdir()
    names = [f"u{i}" for i in range(len(SECONDS))]
    for number, (name, seconds) in enumerate(zip(names, SECONDS, strict=True)):
        soundfile.write(data / f"{name}.flac", np.asarray(noise(seconds, seed=number)), 16000)
    (data / "wav.scp").write_text("".join(f"{name} {data / name}.flac\n" for name in names))
    (data / "utt2spk").write_text("".join(f"{name} s\n" for name in names))
    lines = "context: {chunk_ms: 320, left_ms: 320, sink_frames: 4}\nsearch: {type: greedy, max_symbols: 2}\n"
    (tmp_path / "decode.yaml").write_text(lines)
    return tmp_path


def decode(setup: Path, out: str, *options: str) -> dict[str, str]:
    main(
        [
            *("--exp_dir", str(setup / "exp"), "--decode_config", str(setup / "decode.yaml")),
            *("--data_dir", str(setup / "data"), "--output_dir", str(setup / out), *options),
        ]
    )
    return {name: (setup / out / name).read_text(encoding="utf-8") for name in (*FILES, "words.ctm")}


def same(one: dict[str, str], other: dict[str, str]) -> bool:
    """Equal but for the last digits of floating-point numbers."""
    exact = all(one[name] == other[name] for name in ("text", "token", "token_int", "token_time"))
    numbers = [
        [float(word) for line in files[name].splitlines() for word in line.split()[1:]]
        for files in (one, other)
        for name in ("score", "token_prob")
    ]
    return exact and all(
        np.allclose(numbers[index], numbers[index + 2], rtol=0, atol=2e-4) for index in range(2)
    )
