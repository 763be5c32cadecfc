"""What a set holds and what looks wrong in it: hours, speakers, lengths, characters, rates of speech, pairs.

Durations come from ``utt2num_samples`` (16 kHz), ``utt2dur``, ``segments`` or the audio files' headers, the
first of these that is there.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.data.kaldi import DataDir, Utterance, archive_place, is_pipe
from xlsrt.data.tables import load_table
from xlsrt.units import SAMPLE_RATE

RARE = 5  # occurrences below which a character is shown with an example
OUTLIER = 6.0  # robust standard deviations of the logarithm of the rate
SHOWN = 20
_FORMATTED = re.compile("/audio/[0-9a-f]{2}/[^/]+$")  # where formatting puts its files
_FLAC_HEAD = 42  # bytes: fLaC, a block's head, and the stream's facts, the last 16 of them an MD5


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
    audio: dict[bytes, tuple[str, bytes | None]] = field(default_factory=dict)
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
        sentence = _hash(text) if text else None
        if sentence is not None:
            facts.sentences.add(sentence)
        _look_at_pair(facts, row, sentence, _audio_hash(data, row))
    return facts


def _look_at_pair(facts: SetFacts, row: Utterance, sentence: bytes | None, audio: bytes) -> None:
    """One stretch of audio under two ids: with one transcript a copy, with two at least one of them wrong."""
    other = facts.audio.setdefault(audio, (row.utt, sentence))
    if other[0] != row.utt:
        same = "the same transcript" if other[1] == sentence else "another transcript"
        facts.pairs.append((other[0], row.utt, "same audio" if sentence is None else f"same audio, {same}"))


def _audio_hash(data: DataDir, row: Utterance) -> bytes:
    """What tells one stretch of audio from another, in all sets alike.

    A formatted set has a file of its own for each utterance, so there the samples decide: by the sum that
    FLAC has of them in its head, in archives too, or by what is in the file. Elsewhere it is the place of the
    file, from wherever the set names it.
    """
    wav = data.resolve(row.wav)
    mark = b""
    if row.start is None and row.end is None and not is_pipe(wav):
        mark = _samples_mark(wav, bool(_FORMATTED.search(wav)))
    return hashlib.blake2b(mark or f"{wav} {row.start} {row.end}".encode(), digest_size=8).digest()


def _samples_mark(wav: str, whole: bool) -> bytes:
    """FLAC's MD5 of the samples; for other files a hash of them if ``whole``; b"" where there is none."""
    place = archive_place(wav)
    try:
        with open(place[0] if place else wav, "rb") as stream:
            if place:
                stream.seek(place[1])
                head = stream.read(6)  # "AUDIO" and how many bytes tell the size
                stream.read(head[5] if head[:5] == b"AUDIO" and len(head) == 6 else 0)
            head = stream.read(_FLAC_HEAD)
            if head[:4] == b"fLaC" and head[4] & 0x7F == 0 and len(head) == _FLAC_HEAD:
                return head[-16:] if any(head[-16:]) else b""
            if not whole or place:
                return b""
            content = hashlib.blake2b(head, digest_size=16)
            while block := stream.read(1 << 20):
                content.update(block)
            return content.digest()
    except OSError:
        return b""  # those whose audio cannot be opened are counted already


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
