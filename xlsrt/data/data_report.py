"""What a set holds and what looks wrong in it: hours, speakers, lengths, characters, rates of speech, pairs.

Durations come from ``utt2num_samples`` (16 kHz), ``utt2dur``, ``segments`` or the audio files' headers, the
first of these that is there.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.data.audio import SAMPLE_RATE
from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.tables import load_table

RARE = 5  # occurrences below which a character is shown with an example
OUTLIER = 6.0  # robust standard deviations of the logarithm of the rate
SHOWN = 20


@dataclass
class SetFacts:
    """The figures of one set; ``seconds`` and ``letters`` are in the order of ``utts``."""

    path: Path
    utts: list[str] = field(default_factory=list)
    seconds: array[float] = field(default_factory=lambda: array("d"))
    letters: array[float] = field(default_factory=lambda: array("d"))
    words: int = 0
    speakers: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    sentences: set[bytes] = field(default_factory=set)
    audio: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    pairs: list[tuple[str, str, str]] = field(default_factory=list)
    not_composed: list[str] = field(default_factory=list)
    unknown_lengths: int = 0

    @property
    def hours(self) -> float:
        return sum(self.known()) / 3600

    def known(self) -> np.ndarray:
        """Seconds of the utterances whose length is known (n,)."""
        seconds = np.asarray(self.seconds, dtype=np.float64)
        return seconds[seconds > 0]

    def rates(self) -> np.ndarray:
        """Characters a second (n,); NaN where the length is not known or nothing is said."""
        seconds, letters = np.asarray(self.seconds), np.asarray(self.letters)
        good = (seconds > 0) & (letters > 0)
        return np.where(good, letters / np.where(good, seconds, 1.0), np.nan)

    def rate_outliers(self) -> list[tuple[str, float, float]]:
        """Utterance, rate and robust deviations from the set's median, the worst first."""
        rates = np.log(self.rates())
        if np.isnan(rates).all():
            return []
        middle = np.nanmedian(rates)
        # Sets read by one voice, or by a machine, are so even that anything would be far off: at least 5 %.
        spread = max(1.4826 * float(np.nanmedian(np.abs(rates - middle))), 0.05)
        scores = (rates - middle) / spread
        far = list(np.flatnonzero(np.abs(np.nan_to_num(scores)) > OUTLIER))
        far.sort(key=lambda i: -abs(scores[i]))
        return [(self.utts[i], float(np.exp(rates[i])), float(scores[i])) for i in far]


def gather(path: str | os.PathLike[str]) -> SetFacts:
    """Read a set once. Raises `UserError` as `DataDir.utterances`."""
    data = DataDir(path)
    facts = SetFacts(data.path)
    for row, seconds in _with_seconds(data):
        text = row.text or ""
        facts.utts.append(row.utt)
        facts.seconds.append(seconds or 0.0)
        facts.unknown_lengths += seconds is None
        facts.letters.append(sum(not c.isspace() for c in text))
        facts.words += len(text.split())
        facts.speakers[row.speaker] += 1
        for char in set(text):
            facts.examples.setdefault(char, row.utt)
        facts.characters.update(text)
        if len(facts.not_composed) < SHOWN and not unicodedata.is_normalized("NFC", text):
            facts.not_composed.append(row.utt)
        sentence = _hash(text)
        facts.sentences.add(sentence)
        _look_at_pair(facts, row, sentence)
    return facts


def _look_at_pair(facts: SetFacts, row: Utterance, sentence: bytes) -> None:
    """One stretch of audio under two ids: with one transcript a copy, with two at least one of them wrong."""
    audio = _hash(f"{row.wav} {row.start} {row.end}")
    other = facts.audio.setdefault(audio, (row.utt, sentence))
    if other[0] != row.utt:
        same = "the same transcript" if other[1] == sentence else "another transcript"
        facts.pairs.append((other[0], row.utt, f"same audio, {same}"))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _with_seconds(data: DataDir) -> Iterator[tuple[Utterance, float | None]]:
    samples = load_table(data.path / "utt2num_samples") if data.has("utt2num_samples") else {}
    durations = load_table(data.path / "utt2dur") if data.has("utt2dur") and not samples else {}
    for row in data.utterances(need_text=False):
        if row.utt in samples:
            yield row, int(samples[row.utt]) / SAMPLE_RATE
        elif row.utt in durations:
            yield row, float(durations[row.utt])
        elif row.end is not None:
            yield row, row.end - (row.start or 0.0)
        else:
            yield row, _file_seconds(data.resolve(row.wav), row.start or 0.0)


def _file_seconds(path: str, start: float) -> float | None:
    try:
        return max(0.0, soundfile.info(path).duration - start)
    except (soundfile.LibsndfileError, OSError, TypeError):
        return None


def common(sets: list[SetFacts]) -> list[str]:
    """What two sets share and should not, in words: speakers, audio, sentences."""
    lines = []
    for number, one in enumerate(sets):
        for other in sets[number + 1 :]:
            names = f"{one.path.name} and {other.path.name}"
            speakers = one.speakers.keys() & other.speakers.keys()
            if speakers:
                lines.append(f"{names} share {len(speakers)} speakers, such as {min(speakers)}")
            audio = one.audio.keys() & other.audio.keys()
            if audio:
                utt = one.audio[min(audio)][0]
                lines.append(f"{names} share the audio of {len(audio)} utterances, such as {utt}")
            sentences = one.sentences & other.sentences
            if sentences:
                share = len(sentences) / len(other.sentences)
                lines.append(
                    f"{names} share {len(sentences)} sentences, {share:.1%} of those of {other.path.name}"
                )
    return lines
