"""The place within an epoch at which a checkpoint was written."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from espnet2.train.reporter import Average, Reporter, SubReporter, WeightedAverage
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.espnet_task.checkpoint import random_state, restore_random_state
from xlsrt.espnet_task.distributed import Ranks


@dataclass(frozen=True)
class EpochPosition:
    """Where an epoch stands at an update boundary.

    Attributes:
        epoch: the running epoch. batches: of the whole epoch. batches_done: trained on so far.
        figures: for each figure a (count, 2) float64 tensor of values and weights (NaN: unweighted), one row
            per batch.
        count, total_count, seconds: the sub-reporter's.
        random: see `random_state`, of each rank; empty when there is nothing left to draw.
        ranks: processes that trained; 0 in checkpoints that do not tell.
    """

    epoch: int
    batches: int
    batches_done: int
    figures: dict[str, Tensor]
    count: int
    total_count: int
    seconds: float
    random: list[dict[str, Any]] = field(default_factory=list)
    ranks: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return dict(vars(self))

    def restore_random_state(self, rank: int) -> None:
        """Go on drawing where the saved process of this rank was."""
        if self.random:
            restore_random_state(self.random[rank])

    @classmethod
    def whole(cls, epoch: int, batches: int, stats: Mapping[str, Any], ranks: int) -> EpochPosition:
        """An epoch that has been trained and awaits its validation; ``stats`` are the reporter's of its
        training.
        """
        figures = {
            key: torch.tensor([[float(value), float("nan")]], dtype=torch.float64)
            for key, value in stats.items()
            if key not in ("time", "total_count") and not isinstance(value, datetime.timedelta)
        }
        total = int(stats["total_count"])
        return cls(epoch, batches, batches, figures, 1, total, stats["time"].total_seconds(), ranks=ranks)


def position_of(sub: SubReporter, epoch: int, batches: int, batches_done: int, ranks: Ranks) -> EpochPosition:
    """The position after ``batches_done`` of ``batches`` batches, with the figures so far and the
    generators' states. All ranks call it together.
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
    # Draws depend on the shapes of batches, and each rank has its own.
    random = ranks.gather(random_state())
    return EpochPosition(
        epoch, batches, batches_done, figures, sub.count, sub.total_count, seconds, random, ranks.size
    )


def read_position(values: Mapping[str, Any] | None, batches: int, ranks: int) -> EpochPosition | None:
    """From a checkpoint; None between epochs, and where another number of ranks goes on with other batches:
    that epoch begins anew, with the weights that there are.

    Raises:
        UserError: the epoch has another number of batches than when the checkpoint was written.
    """
    if values is None:
        return None
    random = values["random"]
    if isinstance(random, Mapping):  # as it was written before every rank had its own
        values = {**values, "random": [random] * ranks if random else []}
    position = EpochPosition(**values)
    if position.ranks not in (0, ranks):
        if position.batches != batches:
            logging.warning(
                f"checkpoint.pth was written by {position.ranks} process(es) after batch "
                f"{position.batches_done} of {position.batches}; {ranks} go on, for which there are "
                f"{batches}: epoch {position.epoch} begins again, with the weights that there are"
            )
            return None
        # Nobody drew what the others will draw: they begin as at the start of an epoch.
        return replace(position, random=[])
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
