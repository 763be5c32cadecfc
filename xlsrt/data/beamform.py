"""One channel out of a microphone array's several: delay and sum.

In windows of half a second each channel is moved by the delay at which it agrees best with the first
(GCC-PHAT, Knapp and Carter 1976), and the mean is taken. Where nothing stands out, as in silence, the last
delays stay.
Plainer than BeamformIt, which also weighs channels and follows delays over time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.data.audio import AudioProblem
from xlsrt.data.sound_file import new_sound_file

_WINDOW_SECONDS = 0.5
_MAX_DELAY_SECONDS = 0.002  # 69 cm: more than an array is wide
_CLEAR = 0.1  # of a correlation peak, between noise and 1


def beamform(sources: Sequence[Path], target: Path) -> None:
    """Write the array's signal as 16-bit FLAC, atomically; memory does not grow with the recording.

    Raises:
        AudioProblem: fewer than two channels, a file that cannot be read, different rates.
    """
    if len(sources) < 2:
        raise AudioProblem(f"an array of {len(sources)} channels: at least two are needed")
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(soundfile.SoundFile(str(path))) for path in sources]
        except soundfile.LibsndfileError as error:
            raise AudioProblem(f"not readable as audio ({error})") from None
        rate = files[0].samplerate
        if len({file.samplerate for file in files}) > 1 or any(file.channels != 1 for file in files):
            raise AudioProblem("an array's channels must have one rate and be files of one channel")
        with new_sound_file(target, rate) as write:
            for block in summed(files, rate):
                write(np.clip(block, -1.0, 1.0))


def summed(files: Sequence[soundfile.SoundFile], rate: int) -> Iterator[np.ndarray]:
    """Yield blocks (n,) of the sum; as long together as the shortest file."""
    hop, most = round(_WINDOW_SECONDS * rate) // 2, round(_MAX_DELAY_SECONDS * rate)
    hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)  # windows that overlap by half sum to one
    left = min(file.frames for file in files)
    frames = np.zeros((len(files), 2 * hop + 2 * most))
    delays = np.zeros(len(files), dtype=int)
    tail: np.ndarray = np.zeros(frames.shape[1])
    current = np.zeros((len(files), hop))
    done = 0  # samples in ``current``
    while left > 0 or done:
        coming = np.zeros((len(files), hop))
        wanted = min(hop, left)
        for row, file in zip(coming, files, strict=True):
            row[:wanted] = file.read(wanted) if wanted else 0.0
        frames[:, most:-most] = np.concatenate((current, coming), axis=1) * hann
        delays = _delays(frames, most, delays)
        aligned = sum(np.roll(frame, -delay) for frame, delay in zip(frames, delays, strict=True))
        tail += aligned / len(files)
        if done:
            # The next window may reach 2 ms back into it, with what its edge has left of the signal: nothing.
            yield tail[most : most + done]
        tail = np.concatenate((tail[hop:], np.zeros(hop)))
        current, done = coming, wanted
        left -= wanted


def _delays(frames: np.ndarray, most: int, last: np.ndarray) -> np.ndarray:
    """Samples by which each channel (C, n) comes after the first, -most to most."""
    spectra = np.fft.rfft(frames, axis=1)
    cross = spectra * spectra[0].conj()
    correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12), n=frames.shape[1], axis=1)
    near = np.concatenate((correlation[:, -most:], correlation[:, : most + 1]), axis=1)
    best = near.argmax(axis=1) - most
    clear = near.max(axis=1) > _CLEAR
    found = np.where(clear & bool(np.abs(frames[0]).max() > 1e-6), best, last)
    found[0] = 0
    return found
