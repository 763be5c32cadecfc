"""What ranks tell each other: one collective per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

COUNTS = ("_errors", "_tokens")


class Ranks:
    """The group of training processes; a single process is a group of one."""

    def __init__(self, distributed: bool, rank: int, size: int, device: torch.device) -> None:
        self.distributed, self.rank, self.size, self.device = distributed, rank, size, device

    @property
    def writes(self) -> bool:
        """Whether this process saves and reports."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank."""
        return self.any_of(flag)[0]

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether it is up on any rank."""
        if not self.distributed:
            return flags
        return tuple(count > 0 for count in self._sum(torch.tensor([float(flag) for flag in flags])).tolist())

    def gather(self, value: Any) -> list[Any]:
        """What each rank gives, by rank."""
        if not self.distributed:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def meet(self) -> None:
        """Wait for all: a rank that leaves first has the others ended by who started them."""
        self.any(False)

    def total(self, value: Tensor) -> Tensor:
        """The sum of a scalar over the ranks."""
        return value if not self.distributed else self._sum(value.detach().reshape(1)).reshape(())

    def merge(self, stats: Mapping[str, Tensor], weight: Tensor) -> dict[str, Tensor]:
        """Means over all utterances of all ranks; counts (``*_errors``, ``*_tokens``) are summed."""
        if not self.distributed:
            return dict(stats)
        names = sorted(stats)
        parts = [stats[n].float() if n.endswith(COUNTS) else stats[n].float() * weight for n in names]
        packed = self._sum(torch.stack([*parts, weight.float()]))
        return {
            name: value if name.endswith(COUNTS) else value / packed[-1]
            for name, value in zip(names, packed[:-1], strict=True)
        }

    def _sum(self, values: Tensor) -> Tensor:
        values = values.to(self.device, torch.float64 if self.device.type == "cpu" else torch.float32)
        torch.distributed.all_reduce(values)
        return values


def rates(stats: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, tuple[float, float]]]:
    """Split merged stats into plain ones and error rates: name -> (errors / tokens, tokens)."""
    plain = {name: value for name, value in stats.items() if not name.endswith(COUNTS)}
    counted = {}
    for name, errors in stats.items():
        if name.endswith("_errors"):
            tokens = float(stats[name.removesuffix("_errors") + "_tokens"])
            if tokens:
                counted[name.removesuffix("_errors")] = (float(errors) / tokens, tokens)
    return plain, counted
