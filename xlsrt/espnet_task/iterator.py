"""ESPnet's batch iterator that can start within an epoch and begin with short utterances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory, worker_init_fn
from torch.utils.data import DataLoader

from xlsrt.espnet_task.balance import LanguageBalance
from xlsrt.espnet_task.signals import ignore_in_worker


class ResumableIterFactory(SequenceIterFactory):
    """`SequenceIterFactory` with ``skip`` and a curriculum.

    Args:
        base: the factory that ESPnet built. lengths: samples of each utterance, for the curriculum.
        curriculum_epochs: the first so many epochs go from the shortest batch to the longest, unshuffled.
        balance: changes the shares of languages.
    """

    def __init__(
        self,
        base: SequenceIterFactory,
        lengths: Mapping[str, int] | None = None,
        curriculum_epochs: int = 0,
        balance: LanguageBalance | None = None,
    ) -> None:
        self.__dict__.update(base.__dict__)
        self.lengths = lengths or {}
        self.curriculum_epochs = curriculum_epochs
        self.balance = balance

    def batches(self, epoch: int) -> list[list[str]]:
        """The batches of an epoch in order: a function of the seed and the epoch alone."""
        sorted_epoch = self.shuffle and epoch <= self.curriculum_epochs
        loader = super().build_iter(epoch, shuffle=False if sorted_epoch else None)
        batches = [list(batch) for batch in loader.batch_sampler]
        if self.balance is not None:
            batches = self.balance.apply(batches, epoch, self.seed)
        if sorted_epoch:
            batches.sort(key=lambda batch: max(self.lengths[key] for key in batch))
        return batches

    def num_batches(self) -> int:
        """Batches of an epoch."""
        return len(self.batches(1))

    def build_iter(
        self,
        epoch: int,
        shuffle: bool | None = None,
        skip: int = 0,
        generator: torch.Generator | None = None,
    ) -> DataLoader:
        """The loader of an epoch, without its first ``skip`` batches.

        ``generator`` seeds the workers; None: the process's own one.
        """
        options: dict[str, Any] = {"collate_fn": self.collate_fn} if self.collate_fn is not None else {}
        return DataLoader(
            dataset=self.dataset,
            batch_sampler=self.batches(epoch)[skip:],
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            worker_init_fn=partial(_init_worker, base_seed=epoch + self.seed),
            generator=generator,
            **options,
        )


class SplitIterFactory(AbsIterFactory):
    """The splits of a large set, one after the other: one split's utterances are in memory at a time.

    Each epoch takes the splits in another order, and the batches of each split in another order.

    Args:
        build: makes the factory of each split. seed, shuffle: of the order.
    """

    def __init__(
        self, build: Sequence[Callable[[], ResumableIterFactory]], seed: int = 0, shuffle: bool = False
    ) -> None:
        self.build, self.seed, self.shuffle = list(build), seed, shuffle
        self.sizes = [build().num_batches() for build in self.build]

    def num_batches(self) -> int:
        """Batches of an epoch."""
        return sum(self.sizes)

    def order(self, epoch: int) -> list[int]:
        """The splits of an epoch in order: a function of the seed and the epoch alone."""
        numbers = list(range(len(self.build)))
        if self.shuffle:
            np.random.RandomState(epoch + self.seed).shuffle(numbers)
        return numbers

    def build_iter(self, epoch: int, shuffle: bool | None = None, skip: int = 0) -> Iterator[Any]:
        """The batches of an epoch, without the first ``skip``."""
        for number in self.order(epoch):
            if skip >= self.sizes[number]:
                skip -= self.sizes[number]
                continue
            # Not the process's generator: how often it is drawn from must not depend on where a run resumed.
            seeds = torch.Generator().manual_seed(self.seed + epoch * len(self.build) + number)
            yield from self.build[number]().build_iter(epoch, skip=skip, generator=seeds)
            skip = 0


def _init_worker(worker: int, base_seed: int) -> None:
    ignore_in_worker()
    worker_init_fn(worker, base_seed=base_seed)


def read_lengths(shape_file: str) -> dict[str, int]:
    """``speech_shape`` -> samples of each utterance (its first number)."""
    lengths = {}
    with open(shape_file, encoding="utf-8") as stream:
        for line in stream:
            key, shape = line.split(maxsplit=1)
            lengths[key] = int(shape.split(",")[0])
    return lengths
