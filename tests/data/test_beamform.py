"""An array's channels summed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.data.audio import AudioProblem
from xlsrt.data.beamform import beamform

RATE = 16000


def array(
    folder: Path, delays: list[int], noise: float, seconds: float = 3.2
) -> tuple[list[Path], np.ndarray]:
    """A source that each channel hears so many samples later, in noise of its own."""
    rng = np.random.default_rng(0)
    source = 0.1 * rng.standard_normal(round(seconds * RATE))
    source[: RATE // 2] = 0.0
    folder.mkdir(exist_ok=True)
    paths = []
    for number, delay in enumerate(delays):
        heard = np.roll(source, delay) + noise * rng.standard_normal(len(source))
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], heard, RATE, subtype="FLOAT")
    return paths, np.roll(source, delays[0])


def loss(signal: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(np.mean((signal - wanted) ** 2)))


def test_noise_falls_as_the_channels_are_many(tmp_path: Path) -> None:
    paths, wanted = array(tmp_path, [5, 0, 12, -7, 20, 3, 3, -20], noise=0.1)
    beamform(paths, tmp_path / "out" / "sum.flac")
    summed, rate = soundfile.read(tmp_path / "out" / "sum.flac")
    assert rate == RATE and len(summed) == len(wanted)
    one, _ = soundfile.read(paths[0])
    middle = slice(RATE // 2, -RATE // 4)
    # Eight channels: 9 dB in theory.
    assert loss(summed[middle], wanted[middle]) < loss(one[middle], wanted[middle]) - 8.0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sum.flac"]


def test_equal_channels_come_out_as_they_are(tmp_path: Path) -> None:
    paths, wanted = array(tmp_path, [0, 0, 0], noise=0.0, seconds=2.13)
    beamform(paths, tmp_path / "sum.flac")
    summed, _ = soundfile.read(tmp_path / "sum.flac")
    np.testing.assert_allclose(summed, wanted, atol=2e-4)


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    paths, _ = array(tmp_path, [0, 1], noise=0.0, seconds=0.6)
    with pytest.raises(AudioProblem, match="an array of 1 channels"):
        beamform(paths[:1], tmp_path / "sum.flac")
    soundfile.write(paths[1], np.zeros(800), 8000)
    with pytest.raises(AudioProblem, match="one rate"):
        beamform(paths, tmp_path / "sum.flac")
    paths[1].write_bytes(b"x")
    with pytest.raises(AudioProblem, match="not readable"):
        beamform(paths, tmp_path / "sum.flac")
    assert not list(tmp_path.glob("*.flac"))
