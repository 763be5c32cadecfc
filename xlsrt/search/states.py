"""Where the searches of a batch stand between two calls: what every kind keeps, and how rows are picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from xlsrt.search.carry import Carry, join_carries
from xlsrt.transducer.predictor import PredictorState

State = TypeVar("State", bound="SearchState")


@dataclass(frozen=True)
class SearchState:
    """B streams. Never changed in place.

    Every field has the streams along its first dimension: tensors, tuples of them, a `Carry`, or lists.

    Attributes:
        carry: encoder frames that wait for their group.
        frames: (B,) joint frames searched since the stream began.
        predictor: the predictor's states; projected: its projected outputs, (B, ..., J).
    """

    carry: Carry
    frames: Tensor
    predictor: PredictorState
    projected: Tensor

    @property
    def batch_size(self) -> int:
        """B."""
        return self.frames.size(0)

    def select(self: State, streams: Sequence[int]) -> State:
        """The state of some streams, in the order given."""
        index = torch.as_tensor(list(streams), dtype=torch.long, device=self.frames.device)
        return type(self)(*(_picked(getattr(self, one.name), index, streams) for one in fields(self)))

    def unstack(self: State) -> list[State]:
        """One state of batch size 1 per stream."""
        return [self.select([stream]) for stream in range(self.batch_size)]

    @staticmethod
    def stack(states: Sequence[State]) -> State:
        """One batch of the streams of several states, which may be of different ages."""
        first = states[0]
        return type(first)(
            *(_joined([getattr(state, one.name) for state in states]) for one in fields(first))
        )

    def restarted(self: State, fresh: State, streams: Sequence[int]) -> State:
        """The same batch with the hypotheses of some streams replaced by those of ``fresh``."""
        index = torch.as_tensor(list(streams), dtype=torch.long, device=self.frames.device)
        names = [one.name for one in fields(self) if one.name not in ("carry", "frames")]
        mixed = {n: _mixed(getattr(self, n), getattr(fresh, n), index, streams) for n in names}
        return replace(self, **mixed)


def _picked(part: Any, index: Tensor, streams: Sequence[int]) -> Any:
    if isinstance(part, Tensor):
        return part[index]
    if isinstance(part, Carry):
        return part.rows(index)
    if isinstance(part, tuple):
        return tuple(one[index] for one in part)
    return [part[stream] for stream in streams]


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], Carry):
        return join_carries(parts)
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
    return [row for part in parts for row in part]


def _mixed(old: Any, new: Any, index: Tensor, streams: Sequence[int]) -> Any:
    if isinstance(old, Tensor):
        return old.index_copy(0, index, new)
    if isinstance(old, tuple):
        return tuple(one.index_copy(0, index, other) for one, other in zip(old, new, strict=True))
    rows = list(old)
    for stream, row in zip(streams, new, strict=True):
        rows[stream] = row
    return rows
