"""The place within an epoch at which a checkpoint was written."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from espnet2.train.reporter import Average, Reporter, SubReporter, WeightedAverage
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.espnet_task.checkpoint import random_state, restore_random_state


@dataclass(frozen=True)
class EpochPosition:
    """Where an epoch stands at an update boundary.

    Attributes:
        epoch: the running epoch. batches: of the whole epoch. batches_done: trained on so far.
        figures: for each figure a (count, 2) float64 tensor of values and weights (NaN: unweighted), one row
            per batch.
        count, total_count, seconds: the sub-reporter's.
        random: see `random_state`; empty when there is nothing left to draw.
    """

    epoch: int
    batches: int
    batches_done: int
    figures: dict[str, Tensor]
    count: int
    total_count: int
    seconds: float
    random: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return dict(vars(self))

    def restore_random_state(self) -> None:
        """Go on drawing where the saved process was."""
        if self.random:
            restore_random_state(self.random)

    @classmethod
    def whole(cls, epoch: int, batches: int, stats: Mapping[str, Any]) -> EpochPosition:
        """An epoch that has been trained and awaits its validation; ``stats`` are the reporter's of its
        training.
        """
        figures = {
            key: torch.tensor([[float(value), float("nan")]], dtype=torch.float64)
            for key, value in stats.items()
            if key not in ("time", "total_count") and not isinstance(value, datetime.timedelta)
        }
        total = int(stats["total_count"])
        return cls(epoch, batches, batches, figures, 1, total, stats["time"].total_seconds())


def position_of(sub: SubReporter, epoch: int, batches: int, batches_done: int) -> EpochPosition:
    """The position after ``batches_done`` of ``batches`` batches, with the figures so far and the
    generators' states.
    """
    figures = {
        key: torch.tensor(
            [
                [float(v.value), float(v.weight) if isinstance(v, WeightedAverage) else float("nan")]
                for v in values
            ],
            dtype=torch.float64,
        )
        for key, values in sub.stats.items()
    }
    seconds = time.perf_counter() - sub.start_time
    return EpochPosition(
        epoch, batches, batches_done, figures, sub.count, sub.total_count, seconds, random_state()
    )


def read_position(values: Mapping[str, Any] | None, batches: int) -> EpochPosition | None:
    """From a checkpoint; None between epochs.

    Raises:
        UserError: the epoch has another number of batches than when the checkpoint was written.
    """
    if values is None:
        return None
    position = EpochPosition(**values)
    if position.batches != batches:
        raise UserError(
            f"checkpoint.pth was written after batch {position.batches_done} of {position.batches} of an "
            f"epoch, which has {batches} batches now: the training data or the batch size changed. Put them "
            "back, or start anew in another output_dir"
        )
    return position


@contextmanager
def open_sub_reporter(
    reporter: Reporter, phase: str, position: EpochPosition | None
) -> Iterator[SubReporter]:
    """``reporter.observe(phase)`` that goes on from a position."""
    with reporter.observe(phase) as sub:
        if position is not None:
            for key, table in position.figures.items():
                sub.stats[key] = [
                    Average(value) if weight != weight else WeightedAverage(value, weight)
                    for value, weight in table.tolist()
                ]
            sub.count, sub.total_count = position.count, position.total_count
            sub.start_time -= position.seconds
        yield sub
