"""What a stretch of audio is, as far as its loudness over time tells: speech to learn from, or not.

Everything is measured in frames of 20 ms at the audio's own rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xlsrt.units import FRAME_SECONDS

REASONS = ("short", "silence", "clipped", "music", "unreadable")
"""Why audio is left out; the rules stand in docs/pretraining.md."""

SILENCE_DB = -55.0
# A sample this close to full scale is clipped; so large a share of them is heard.
_FULL_SCALE, _CLIPPED_SHARE = 0.99, 0.005
# Speech pauses: in a second of it, at least a fifth of the frames have less than half the mean level (seen on
# 400 utterances in three languages: 0.20 to 0.72). Its voiced and voiceless sounds alternate: over 8 s its
# zero-crossing rate varies by more than half its mean (seen: 0.67 and more).
_GAPS, _VARIATION, _LONG_SECONDS = 0.15, 0.4, 8.0
_SMOOTH = 10


@dataclass(frozen=True)
class Levels:
    """Measurements of consecutive frames.

    Attributes:
        rms: (F,) root mean square, full scale is 1.
        crossings: (F,) share of neighbouring samples that differ in sign.
        clipped: (F,) share of samples at full scale.
        seconds: length of the audio.
    """

    rms: np.ndarray
    crossings: np.ndarray
    clipped: np.ndarray
    seconds: float

    def part(self, start: float, end: float) -> Levels:
        """The frames between two times in seconds."""
        first, last = round(start / FRAME_SECONDS), round(end / FRAME_SECONDS)
        cut = slice(first, last)
        return Levels(self.rms[cut], self.crossings[cut], self.clipped[cut], end - start)


def measure(blocks: Iterator[np.ndarray], rate: int) -> Levels:
    """Mono float32 blocks (n,) at ``rate`` Hz -> levels; memory grows by 12 bytes per frame."""
    # At 11025 Hz a frame has 220.5 samples. Each begins where its time says, and every second one leaves a
    # sample out: frames of 220 in a row would be 16 s ahead of the audio after two hours.
    per_second = round(1 / FRAME_SECONDS)
    size = max(1, rate // per_second)
    rest = np.zeros(0, dtype=np.float32)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    samples = done = 0
    for block in blocks:
        joined = np.concatenate((rest, block))
        begins = samples - len(rest)
        samples += len(block)
        last = max(done, (samples - size) * per_second // rate + 1)  # frames that are whole by now
        starts = np.arange(done, last + 1) * rate // per_second - begins
        frames, rest, done = joined[starts[:-1, None] + np.arange(size)], joined[starts[-1] :], last
        signs = np.signbit(frames)
        found.append(
            (
                np.sqrt(np.square(frames).mean(axis=1)),
                (signs[:, 1:] != signs[:, :-1]).mean(axis=1).astype(np.float32),
                (np.abs(frames) >= _FULL_SCALE).mean(axis=1).astype(np.float32),
            )
        )
    rms, crossings, clipped = (
        np.concatenate([one[i] for one in found]) if found else np.zeros(0, np.float32) for i in range(3)
    )
    return Levels(rms, crossings, clipped, samples / rate)


def reason_to_skip(levels: Levels, min_seconds: float) -> str | None:
    """One of `REASONS`, or None for audio to learn from."""
    if levels.seconds < min_seconds or len(levels.rms) < 2:
        return "short"
    loud = float(np.percentile(levels.rms, 95))
    if 20 * np.log10(max(loud, 1e-10)) < SILENCE_DB:
        return "silence"
    if levels.clipped.mean() > _CLIPPED_SHARE:
        return "clipped"
    if gaps(levels) < _GAPS:
        return "music"
    # Frames 30 dB below the loud ones say nothing about what sounds.
    active = levels.crossings[levels.rms > loud / 31.6]
    if levels.seconds >= _LONG_SECONDS and active.std() < _VARIATION * max(float(active.mean()), 1e-6):
        return "music"
    return None


def gaps(levels: Levels) -> float:
    """Share of the frames whose level is below half the mean of their second."""
    second = round(1 / FRAME_SECONDS)
    count = max(1, len(levels.rms) // second)
    seconds = np.array_split(levels.rms, count)
    return float(np.mean([(part < 0.5 * part.mean()).mean() for part in seconds]))


def cut(levels: Levels, max_seconds: float) -> list[tuple[float, float]]:
    """Stretches (start, end) in seconds of at most ``max_seconds``; long audio is cut where it is quietest.

    Each cut lies in the second half of what may be taken, in the quietest 200 ms there.
    """
    frames = len(levels.rms)
    if levels.seconds <= max_seconds:
        return [(0.0, levels.seconds)]
    longest = int(max_seconds / FRAME_SECONDS)
    kernel = np.full(_SMOOTH, 1 / _SMOOTH)
    smooth = np.convolve(levels.rms, kernel, mode="same")
    stretches, start = [], 0
    while frames - start > longest:
        low, high = start + longest // 2, start + longest
        end = low + int(np.argmin(smooth[low:high]))
        stretches.append((start * FRAME_SECONDS, end * FRAME_SECONDS))
        start = end
    return [*stretches, (start * FRAME_SECONDS, levels.seconds)]
