"""Connected digits: strings of one speaker's single digits with pauses, made deterministically."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from xlsrt.data.audio import AudioProblem, mono_blocks, open_audio
from xlsrt.data.kaldi import Utterance
from xlsrt.data.parallel import ordered_map
from xlsrt.data.sound_file import write_sound
from xlsrt.errors import UserError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MIN_DIGITS, MAX_DIGITS = 3, 10
# Seconds between two digits, and before the first and after the last.
PAUSE = (0.05, 0.40)
EDGE = (0.10, 0.30)


@dataclass(frozen=True)
class Take:
    """One recording of one digit."""

    utt: str
    speaker: str
    digit: int
    index: int
    wav: str

    @property
    def word(self) -> str:
        return WORDS[self.digit]

    def utterance(self) -> Utterance:
        return Utterance(self.utt, self.speaker, self.word, self.wav)


@dataclass(frozen=True)
class _Plan:
    """One string: what it joins, and the silence before each digit and after the last (seconds)."""

    utt: str
    takes: tuple[Take, ...]
    silences: tuple[float, ...]
    noise_seed: int


def make_strings(
    takes: Sequence[Take], count: int, folder: Path, seed: str, tag: str, nj: int = 1
) -> list[Utterance]:
    """Render ``count`` strings of 3 to 10 digits, each of one speaker, as FLAC files at the recordings' rate.

    Ids are ``<speaker>-<tag>-<number>``. The same takes, count and seed give the same audio.

    Raises:
        UserError: a recording cannot be read, or two of one string have different rates; names it.
    """
    speakers = sorted({take.speaker for take in takes})
    plans = []
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        own = sorted((take for take in takes if take.speaker == speaker), key=lambda take: take.utt)
        plans.append(_plan(f"{speaker}-{tag}-{number:05d}", own, seed))
    return list(ordered_map(partial(_render, folder=folder), plans, nj if count > 100 else 1))


def _plan(utt: str, takes: Sequence[Take], seed: str) -> _Plan:
    # A generator per string, fed by its id: strings do not depend on how many others there are.
    draw = random.Random(int.from_bytes(hashlib.sha256(f"{seed} {utt}".encode()).digest()[:8], "big")).random
    length = MIN_DIGITS + int(draw() * (MAX_DIGITS - MIN_DIGITS + 1))
    chosen = tuple(takes[int(draw() * len(takes))] for _ in range(length))
    bounds = [EDGE, *[PAUSE] * (length - 1), EDGE]
    silences = tuple(low + draw() * (high - low) for low, high in bounds)
    return _Plan(utt, chosen, silences, int(draw() * 2**32))


def _render(plan: _Plan, folder: Path) -> Utterance:
    parts: list[np.ndarray] = []
    rate = 0
    for take in plan.takes:
        samples, its_rate = _read(take)
        if rate and its_rate != rate:
            raise UserError(
                f"{take.wav}: utterance '{take.utt}' has {its_rate} Hz, others {rate} Hz: make them alike"
            )
        rate = its_rate
        parts.append(samples)
    floor = _noise_floor(np.concatenate(parts), rate)
    # RandomState's stream is frozen by NumPy's policy, Generator's is not.
    noise = np.random.RandomState(plan.noise_seed)
    pieces: list[np.ndarray] = []
    for silence, part in zip(plan.silences, [*parts, None], strict=True):
        # Pure zeros would tell the words apart better than any room does: pauses hold the recordings' noise.
        pieces.append(floor * noise.standard_normal(round(silence * rate)).astype(np.float32))
        if part is not None:
            pieces.append(part)
    path = folder / f"{plan.utt}.flac"
    write_sound(path, _int16(np.concatenate(pieces)), rate)
    words = " ".join(take.word for take in plan.takes)
    return Utterance(plan.utt, plan.takes[0].speaker, words, str(path.absolute()))


def _read(take: Take) -> tuple[np.ndarray, int]:
    try:
        with open_audio(take.wav) as audio:
            blocks = list(mono_blocks(audio, None, None))
            rate = audio.samplerate
        if not blocks:
            raise AudioProblem("holds no samples")
    except AudioProblem as problem:
        raise UserError(f"{take.wav}: utterance '{take.utt}': {problem}") from None
    return np.concatenate(blocks), rate


def _noise_floor(samples: np.ndarray, rate: int) -> float:
    """RMS of the quietest twentieth of the 10 ms frames, at most 0.005 (-46 dB of full scale)."""
    width = rate // 100
    frames = samples[: len(samples) // width * width].reshape(-1, width)
    level = np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1))
    return float(min(np.quantile(level, 0.05), 0.005)) if len(level) else 0.0


def _int16(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
