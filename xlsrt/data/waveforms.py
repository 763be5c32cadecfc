"""The utterances of a data directory as batches of waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.data.audio import AudioProblem, mono_blocks, open_audio, resampled
from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE


@dataclass(frozen=True)
class Entry:
    """An utterance and its length in samples at 16 kHz, as the set or else the file's header says."""

    utterance: Utterance
    num_samples: int

    @property
    def name(self) -> str:
        return self.utterance.utt


def read_set(path: Path) -> list[Entry]:
    """The utterances of a data directory, in its order.

    Raises:
        UserError: a table or an audio file is missing or malformed, or there are no utterances.
    """
    data = DataDir(path)
    listed = load_table(path / "utt2num_samples") if data.has("utt2num_samples") else {}
    entries = []
    for utterance in data.utterances(need_text=False):
        length = listed.get(utterance.utt)
        if length is not None and not length.isdigit():
            raise UserError(f"{path}/utt2num_samples: '{length}' of {utterance.utt} is no number of samples")
        samples = int(length) if length is not None else _header_length(data, utterance)
        entries.append(Entry(utterance, samples))
    if not entries:
        raise UserError(f"{path} has no utterances; prepare the set again (run.sh stages 1 and 2)")
    return entries


def load_samples(data: DataDir, entry: Entry) -> np.ndarray:
    """Mono float32 samples (S,) at 16 kHz."""
    utterance = entry.utterance
    try:
        with open_audio(data.resolve(utterance.wav)) as audio:
            blocks = mono_blocks(audio, utterance.start, utterance.end)
            parts = list(resampled(blocks, audio.samplerate, SAMPLE_RATE))
    except AudioProblem as error:
        raise UserError(f"{data.path}: utterance {utterance.utt} ({utterance.wav}): {error}") from error
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


def make_batches(entries: Sequence[Entry], batch_size: int, batch_seconds: float) -> list[list[Entry]]:
    """Batches of like length, the longest first: too little memory shows at once, little is padded.

    Args:
        batch_size: at most so many utterances.
        batch_seconds: at most so much audio after padding; a longer utterance is a batch of its own.
    """
    batches: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda e: (-e.num_samples, e.name)):
        if batches:
            padded = batches[-1][0].num_samples * (len(batches[-1]) + 1)
            if len(batches[-1]) < batch_size and padded <= batch_seconds * SAMPLE_RATE:
                batches[-1].append(entry)
                continue
        batches.append([entry])
    return batches


def _header_length(data: DataDir, utterance: Utterance) -> int:
    try:
        with open_audio(data.resolve(utterance.wav)) as audio:
            start = utterance.start or 0.0
            end = utterance.end if utterance.end is not None else audio.frames / audio.samplerate
    except (AudioProblem, soundfile.LibsndfileError) as error:
        raise UserError(f"{data.path}: utterance {utterance.utt} ({utterance.wav}): {error}") from error
    return max(0, round((end - start) * SAMPLE_RATE))
