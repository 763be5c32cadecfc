"""Helpers of the readers' tests: run one as its command line does, and look at what it made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from xlsrt.bin import prepare_data
from xlsrt.data.tables import load_table


def prepare(kind: str, source: Path | list[Path], output: Path, *options: object) -> Path:
    """``prepare_data KIND --source ... --output_dir ... options``; returns the output directory."""
    sources = source if isinstance(source, list) else [source]
    words = [kind, "--source", *map(str, sources), "--output_dir", str(output), *map(str, options)]
    prepare_data.main(words)
    return output


def table(path: Path) -> dict[str, str]:
    return load_table(path)


def dropped(path: Path) -> dict[str, str]:
    """What a set left out: key to reason."""
    if not (path / "dropped").exists():
        return {}
    lines = (path / "dropped").read_text(encoding="utf-8").splitlines()
    return {key: reason for key, _, reason in (line.partition(" ") for line in lines)}


def sound(path: Path, seconds: float = 0.3, rate: int = 16000, channels: int = 1, level: float = 0.3) -> Path:
    """A tone in the format that the suffix tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(seconds * rate)) / rate
    wave = (level * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    kinds = {".opus": {"format": "OGG", "subtype": "OPUS"}, ".ogg": {"format": "OGG", "subtype": "VORBIS"}}
    kinds[".sph"] = {"format": "NIST", "subtype": "PCM_16"}
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **kinds.get(path.suffix, {}))
    return path
