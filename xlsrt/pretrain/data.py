"""Batches of synthetic speech for pretraining, made on the fly by worker processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

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


def collate(utterances: Sequence[Utterance], inventory: Inventory) -> PhonemeBatch:
    """Pad utterances into one batch."""
    wavs = [torch.from_numpy(np.ascontiguousarray(u.wav, dtype=np.float32)) for u in utterances]
    phonemes = [
        torch.tensor([inventory.id(s) for s, _, _ in u.phonemes], dtype=torch.long) for u in utterances
    ]
    frames = [torch.from_numpy(frame_labels(u, inventory)) for u in utterances]
    pad = torch.nn.utils.rnn.pad_sequence
    return PhonemeBatch(
        wav=pad(wavs, batch_first=True),
        wav_lens=torch.tensor([len(w) for w in wavs]),
        phonemes=pad(phonemes, batch_first=True),
        phoneme_lens=torch.tensor([len(p) for p in phonemes]),
        frames=pad(frames, batch_first=True, padding_value=IGNORED),
    )


class SyntheticBatches(IterableDataset):
    """Endless batches of about ``batch_seconds``, utterances of like length together.

    Args:
        make: seed -> `Utterance`; deterministic, so that a seed range names a data set.
        first_seed: seed of the first utterance; each worker takes every n-th one.
        pool: utterances sorted by length before batches are cut.
    """

    def __init__(
        self,
        make: Callable[[int], Utterance],
        inventory: Inventory,
        batch_seconds: float,
        first_seed: int,
        pool: int = 192,
    ) -> None:
        self.make, self.inventory, self.batch_seconds = make, inventory, batch_seconds
        self.first_seed, self.pool = first_seed, pool

    def __iter__(self) -> Iterator[PhonemeBatch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        seed = self.first_seed + worker
        rng = np.random.default_rng(seed)
        while True:
            made = []
            for _ in range(self.pool):
                made.append(self.make(seed))
                seed += workers
            made = [u for u in made if u.phonemes and len(u.wav) >= WINDOW]
            made.sort(key=lambda u: len(u.wav))
            groups = list(_group(made, int(self.batch_seconds * SAMPLE_RATE)))
            rng.shuffle(groups)  # type: ignore[arg-type]
            for group in groups:
                yield collate(group, self.inventory)


def _group(utterances: list[Utterance], max_samples: int) -> Iterator[list[Utterance]]:
    group: list[Utterance] = []
    for utterance in utterances:
        if group and len(utterance.wav) * (len(group) + 1) > max_samples:
            yield group
            group = []
        group.append(utterance)
    if group:
        yield group


def loader(dataset: SyntheticBatches, num_workers: int) -> DataLoader:
    """A loader that keeps whole batches coming from ``num_workers`` processes (0: in this one)."""
    return DataLoader(
        dataset, batch_size=None, num_workers=num_workers, prefetch_factor=24 if num_workers else None
    )
