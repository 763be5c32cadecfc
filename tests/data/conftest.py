"""A maker of small Kaldi data directories, and where recorded speech may lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

MakeSet = Callable[..., Path]


def tone(samples: int, rate: int = 16000, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    """A sine wave (samples,) in float32."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype(np.float32)


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """``make_set(name, utts={id: text}, samples=..., rate=..., channels=...)`` writes a set."""

    def make(
        name: str = "set",
        utts: dict[str, str] | None = None,
        samples: int = 8000,
        rate: int = 16000,
        channels: int = 1,
        subtype: str = "PCM_16",
    ) -> Path:
        utts = {"spk1-a": "one two", "spk1-b": "three", "spk2-c": "four five"} if utts is None else utts
        folder = tmp_path / name
        (folder / "wavs").mkdir(parents=True)
        rows: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
        for number, (utt, text) in enumerate(utts.items()):
            path = folder / "wavs" / f"{utt}.wav"
            signal = tone(samples, rate, 200.0 + 100 * number)
            soundfile.write(path, np.stack([signal] * channels, axis=1), rate, subtype=subtype)
            rows["wav.scp"].append(f"{utt} {path}")
            rows["text"].append(f"{utt} {text}")
            rows["utt2spk"].append(f"{utt} {utt.split('-')[0]}")
        for table, lines in rows.items():
            (folder / table).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def speech() -> Path:
    """The folder of recorded speech beside the repository; without it the test is skipped."""
    path = Path(__file__).resolve().parents[3] / "shared" / "speech"
    if not path.is_dir():
        pytest.skip(f"no recorded speech at {path}")
    return path


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file; the text must be there."""
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")
