"""Batches of synthetic speech for pretraining, made on the fly by worker processes."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from xlsrt.cpu import padded_samples
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.pretrain.model import IGNORED, PhonemeBatch
from xlsrt.units import HOP, SAMPLE_RATE, WINDOW


class Utterance(Protocol):
    """One made utterance: ``wav`` (S,) float32 at 16 kHz; ``phonemes``: (symbol, start, end) in seconds."""

    @property
    def wav(self) -> np.ndarray: ...

    @property
    def phonemes(self) -> Sequence[tuple[str, float, float]]: ...


class Inventory:
    """Phoneme symbols to ids from 1; unlisted ones share the last id.

    0 is silence for frames and the blank for CTC.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self._ids = {symbol: index + 1 for index, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def id(self, symbol: str) -> int:
        return self._ids.get(symbol, len(self.symbols) + 1)

    @classmethod
    def collect(cls, make: Callable[[int], Utterance], seeds: range, min_count: int = 3) -> Inventory:
        """The symbols met ``min_count`` times or more in the utterances of ``seeds``, most frequent first."""
        counts: dict[str, int] = {}
        for seed in seeds:
            for symbol, _, _ in make(seed).phonemes:
                counts[symbol] = counts.get(symbol, 0) + 1
        return cls(sorted((s for s, n in counts.items() if n >= min_count), key=lambda s: (-counts[s], s)))

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(self.symbols, ensure_ascii=False))

    @classmethod
    def load(cls, path: Path) -> Inventory:
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: not a phoneme inventory ({error}); delete the directory to start afresh"
            ) from error


def frame_labels(utterance: Utterance, inventory: Inventory) -> np.ndarray:
    """The phoneme id at the centre of each encoder frame, (T,) int64; 0 where none is spoken."""
    num_frames = max(0, (len(utterance.wav) - WINDOW) // HOP + 1)
    centres = (np.arange(num_frames) * HOP + WINDOW / 2) / SAMPLE_RATE
    labels = np.zeros(num_frames, dtype=np.int64)
    for symbol, start, end in utterance.phonemes:
        labels[np.searchsorted(centres, start) : np.searchsorted(centres, end)] = inventory.id(symbol)
    return labels


def collate(utterances: Sequence[Utterance], inventory: Inventory, samples: int = 0) -> PhonemeBatch:
    """Pad utterances into one batch, of ``samples`` or as many as the longest has."""
    wavs = [torch.from_numpy(np.ascontiguousarray(u.wav, dtype=np.float32)) for u in utterances]
    phonemes = [
        torch.tensor([inventory.id(s) for s, _, _ in u.phonemes], dtype=torch.long) for u in utterances
    ]
    labels = [torch.from_numpy(frame_labels(u, inventory)) for u in utterances]
    pad = torch.nn.utils.rnn.pad_sequence
    wav, labelled = pad(wavs, batch_first=True), pad(labels, batch_first=True, padding_value=IGNORED)
    wav = F.pad(wav, (0, max(0, samples - wav.shape[1])))
    frames = max(0, (wav.shape[1] - WINDOW) // HOP + 1)
    return PhonemeBatch(
        wav=wav,
        wav_lens=torch.tensor([len(w) for w in wavs]),
        phonemes=pad(phonemes, batch_first=True),
        phoneme_lens=torch.tensor([len(p) for p in phonemes]),
        frames=F.pad(labelled, (0, frames - labelled.shape[1]), value=IGNORED),
    )


class SyntheticBatches(IterableDataset):
    """Endless batches of about ``batch_seconds``, utterances of like length together.

    They have few shapes, one for every 0.64 s of length (see `cpu.few_shapes`): half of the time was spent on
    compiling when every batch had a length of its own.

    Args:
        make: seed -> `Utterance`; deterministic, so that a seed range names a data set.
        first_seed: seed of the first utterance; each worker of each rank takes every n-th one.
        rank, ranks: which of how many trainings that run together this one is.
    """

    def __init__(
        self,
        make: Callable[[int], Utterance],
        inventory: Inventory,
        batch_seconds: float,
        first_seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.make, self.inventory, self.batch_seconds = make, inventory, batch_seconds
        self.first_seed, self.rank, self.ranks = first_seed, rank, ranks

    def __iter__(self) -> Iterator[PhonemeBatch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        offset, stride = self.rank * workers + worker, self.ranks * workers
        waiting: dict[int, list[Utterance]] = {}
        for seed in itertools.count(self.first_seed + offset, stride):
            utterance = self.make(seed)
            if not utterance.phonemes or len(utterance.wav) < WINDOW:
                continue
            samples = padded_samples(len(utterance.wav))
            group = waiting.setdefault(samples, [])
            group.append(utterance)
            if len(group) >= int(self.batch_seconds * SAMPLE_RATE / samples):
                yield collate(waiting.pop(samples), self.inventory, samples)


_LAST_MOMENTS = 10.0
"""Seconds that a process which is told to end, or dies, may take."""


class LostMaker(Exception):
    """A process that made speech died, as espeak-ng does of some texts."""


def batches(dataset: SyntheticBatches, num_workers: int) -> Iterator[PhonemeBatch]:
    """Batches that ``num_workers`` processes keep ready (0: made in this one).

    Raises:
        LostMaker: when one of them died, and only between two batches. torch would let its error out of
            whatever runs at that moment, and of two ranks one would have made a step more.
    """
    prefetch = 24 if num_workers else None
    before, others = signal.getsignal(signal.SIGCHLD), set(multiprocessing.active_children())
    made = iter(DataLoader(dataset, batch_size=None, num_workers=num_workers, prefetch_factor=prefetch))
    makers = set(multiprocessing.active_children()) - others
    # torch's handler may also stand there since an earlier loader of this process.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        while True:
            try:
                batch = next(made)
            except (RuntimeError, EOFError, ConnectionError) as error:
                if str(error).startswith("Caught "):  # by the process, which lives
                    raise
                # Its frames would keep the loader, with which alone the other makers end.
                raise LostMaker(str(error) or "it closed its connection") from error.with_traceback(None)
            yield batch
    finally:
        del made  # its processes end before anybody hears of it again:
        for maker in makers:  # one whose connection is closed may have a moment to live
            maker.join(_LAST_MOMENTS)
        signal.signal(signal.SIGCHLD, before)
