"""Audio of one utterance: read in blocks, checked, mixed down, resampled and written as 16-bit mono.

Opening is `xlsrt.data.audio_source`'s, resampling by soxr; memory does not grow with the recording's length,
but for commands, archives and ffmpeg. Samples are float32 in [-1, 1); counts are samples, times seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from xlsrt.data.audio_source import AudioProblem, open_audio
from xlsrt.data.overshoot import OVERSHOOT_SECONDS
from xlsrt.data.sound_file import new_sound_file
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE, WINDOW

MIN_SAMPLES = WINDOW
_BLOCK = 1 << 18
# Formats whose header tells the exact number of frames.
_EXACT = ("WAV", "WAVEX", "FLAC", "NIST", "AIFF", "AU", "W64", "RF64", "CAF")
_UNKNOWN_FRAMES = 1 << 40


def read_audio(path: str | os.PathLike[str]) -> np.ndarray:
    """A sound file of any format and rate -> mono float32 samples (S,) at 16 kHz, channels averaged.

    Raises:
        UserError: it is not there, cannot be read, is truncated or holds NaN or infinite samples.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is no file")
    try:
        with open_audio(str(path)) as audio:
            parts = list(resampled(mono_blocks(audio, None, None), audio.samplerate, SAMPLE_RATE))
    except AudioProblem as error:
        raise UserError(f"{path}: {error}") from error
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


@dataclass(frozen=True)
class AudioFacts:
    """What was found while an utterance was read.

    Attributes:
        rate: of the source, Hz.
        channels: of the source.
        num_samples: of the result.
        clipped: samples beyond full scale.
        passed_through: the source is right as it is; nothing was written.
        cut: the segment ended a little after its recording, and ends with it now.
        place: ``<archive>:<offset>`` below the dump's audio folder, where the samples went into an archive.
    """

    rate: int
    channels: int
    num_samples: int
    clipped: int = 0
    passed_through: bool = False
    place: str = ""
    cut: bool = False


def _known_frames(audio: soundfile.SoundFile) -> int | None:
    return audio.frames if 0 < audio.frames < _UNKNOWN_FRAMES else None


def mono_blocks(audio: soundfile.SoundFile, start: float | None, end: float | None) -> Iterator[np.ndarray]:
    """Yield float32 blocks (n,) of the stretch from ``start`` to ``end`` seconds, channels averaged.

    Raises:
        AudioProblem: the stretch ends over half a second after the recording, the file is truncated or holds
            NaN or infinite samples.
    """
    known = _known_frames(audio)
    if known is None and audio.format == "FLAC":  # libsndfile stops somewhere before the end of such a file
        raise AudioProblem(
            "is FLAC whose header does not tell its length, as written into a pipe: write it anew "
            "into a file (flac -d, then flac; or ffmpeg -i OLD NEW.flac)"
        )
    first = round((start or 0.0) * audio.samplerate)
    stop = None if end is None else round(end * audio.samplerate)
    if known is not None:
        if first >= known or (stop is not None and stop > known + OVERSHOOT_SECONDS * audio.samplerate):
            raise AudioProblem(
                f"its segment from {start or 0:g} to {'the end' if end is None else format(end, 'g')} s is "
                f"outside the recording of {known / audio.samplerate:.3f} s"
            )
        stop = known if stop is None else min(stop, known)
    position = first
    try:
        if first:
            audio.seek(first)
        while stop is None or position < stop:
            wanted = _BLOCK if stop is None else min(_BLOCK, stop - position)
            block = audio.read(wanted, dtype="float32", always_2d=True)
            if not len(block):
                break
            position += len(block)
            mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
            if not np.isfinite(mono).all():
                at = (position - len(block) + int(np.argmin(np.isfinite(mono)))) / audio.samplerate
                raise AudioProblem(
                    f"holds NaN or infinite samples, the first at {at:.3f} s: make the file anew"
                )
            yield mono
    except soundfile.LibsndfileError as error:
        raise AudioProblem(
            f"broken or truncated at {position / audio.samplerate:.3f} s ({error.error_string.strip()})"
        ) from None
    if stop is not None and position < stop and audio.format in _EXACT:
        raise AudioProblem(f"truncated: its header announces {stop} samples, {position} are there")


def resampled(blocks: Iterator[np.ndarray], rate: float, target_rate: int) -> Iterator[np.ndarray]:
    """Resample a stream of float32 blocks; nothing is done where the rates agree."""
    if rate == target_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def is_formatted(audio: Any, sample_rate: int) -> bool:
    """Whether a file is as those of a dump are; ``audio``: soundfile's object or `soundfile.info`."""
    kind = audio.format in ("FLAC", "WAV", "WAVEX") and audio.subtype == "PCM_16"
    return bool(kind and (audio.samplerate, audio.channels) == (sample_rate, 1))


def convert(
    source: str,
    target: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    speed: float = 1.0,
    sample_rate: int = SAMPLE_RATE,
    allow_pipes: bool = False,
    pass_through: bool = True,
) -> AudioFacts:
    """Write one utterance as 16-bit mono at ``sample_rate``, atomically.

    The format follows the target's suffix, flac or wav.
    A whole file that is so already is only checked, not copied (``passed_through`` is set), unless
    ``pass_through`` is false. ``speed`` 1.1 plays 10 % faster, as sox's speed does.

    Raises:
        AudioProblem: as `open_audio` and `mono_blocks`, and fewer than 400 samples (one encoder frame).
        UserError: the target cannot be written.
    """
    with open_audio(source, allow_pipes) as audio:
        rate, channels = audio.samplerate, audio.channels
        ready = (
            pass_through
            and is_formatted(audio, sample_rate)
            and (speed, start or 0.0, end) == (1.0, 0.0, None)
            and audio.name == source  # not what a command or ffmpeg has made of it
        )
        known = _known_frames(audio)
        cut = known is not None and end is not None and round(end * rate) > known
        blocks = resampled(mono_blocks(audio, start, end), rate * speed, sample_rate)
        if ready:
            count = sum(len(block) for block in blocks)
            _check_length(count, sample_rate)
            return AudioFacts(rate, channels, count, 0, True)
        count = clipped = 0
        with new_sound_file(target, sample_rate) as write:
            for block in blocks:
                # Rounding of a full-scale sample is no clipping; tell only of what is audible.
                clipped += int(np.count_nonzero(np.abs(block) > 1.0 + 1e-3))
                write(np.clip(np.rint(block * 32768.0), -32768, 32767).astype(np.int16))
                count += len(block)
            _check_length(count, sample_rate)
        return AudioFacts(rate, channels, count, clipped, cut=cut)


def _check_length(count: int, sample_rate: int) -> None:
    if count == 0:
        raise AudioProblem("holds no samples")
    if count < MIN_SAMPLES:
        raise AudioProblem(
            f"shorter than one encoder frame: {count} samples at {sample_rate} Hz, {MIN_SAMPLES} are needed"
        )
