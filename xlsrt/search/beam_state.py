"""Where a batch of beam searches stands between two calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xlsrt.search.carry import Carry, join_carries
from xlsrt.transducer import TransducerHead
from xlsrt.transducer.predictor import PredictorState

NOTHING = float("-inf")
"""Score of an empty place."""


class Node:
    """One token of a hypothesis; what follows it may branch.

    Attributes:
        parent: the token before it or None. token: its id. frame: joint frame. prob: its probability then.
        depth: tokens up to and with this one. memory: the state of the search's `Fusion` after it.
    """

    __slots__ = ("depth", "frame", "memory", "parent", "prob", "token")

    def __init__(self, parent: Node | None, token: int, frame: int, prob: float, memory: Any = None) -> None:
        self.parent = parent
        self.token = token
        self.frame = frame
        self.prob = prob
        self.memory = memory
        self.depth: int = parent.depth + 1 if parent else 1


@dataclass(frozen=True)
class BeamState:
    """K hypotheses of B streams. Never changed in place.

    Attributes:
        carry: encoder frames that wait for their group.
        scores: (B, K) float64, log-probability; -inf marks an empty place.
        keys: (B, K) fingerprints of the token sequences; equal ones are merged.
        projected: (B, K, J) projected predictor outputs; predictor: its states, tensors (B, K, ...).
        frames: (B,) joint frames searched since the stream began.
        nodes: B lists of K last tokens, None for no token.
    """

    carry: Carry
    scores: Tensor
    keys: Tensor
    projected: Tensor
    predictor: PredictorState
    frames: Tensor
    nodes: list[list[Node | None]]

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.nodes)

    def select(self, streams: Sequence[int]) -> BeamState:
        """The state of some streams, in the order given."""
        index = torch.as_tensor(list(streams), dtype=torch.long, device=self.frames.device)
        return BeamState(
            self.carry.rows(index),
            self.scores[index],
            self.keys[index],
            self.projected[index],
            tuple(part[index] for part in self.predictor),
            self.frames[index],
            [self.nodes[stream] for stream in streams],
        )

    def unstack(self) -> list[BeamState]:
        """One state of batch size 1 per stream."""
        return [self.select([stream]) for stream in range(self.batch_size)]

    @staticmethod
    def stack(states: Sequence[BeamState]) -> BeamState:
        """One batch of the streams of several states, which may be of different ages."""
        return BeamState(
            join_carries([state.carry for state in states]),
            torch.cat([state.scores for state in states]),
            torch.cat([state.keys for state in states]),
            torch.cat([state.projected for state in states]),
            tuple(torch.cat(parts) for parts in zip(*[state.predictor for state in states], strict=True)),
            torch.cat([state.frames for state in states]),
            [row for state in states for row in state.nodes],
        )

    def restarted(self, fresh: BeamState, streams: Sequence[int]) -> BeamState:
        """The same batch with the hypotheses of some streams replaced by those of ``fresh``."""
        index = torch.as_tensor(list(streams), dtype=torch.long, device=self.frames.device)
        nodes = list(self.nodes)
        for stream, row in zip(streams, fresh.nodes, strict=True):
            nodes[stream] = row
        return replace(
            self,
            scores=self.scores.index_copy(0, index, fresh.scores),
            keys=self.keys.index_copy(0, index, fresh.keys),
            projected=self.projected.index_copy(0, index, fresh.projected),
            predictor=tuple(
                old.index_copy(0, index, new)
                for old, new in zip(self.predictor, fresh.predictor, strict=True)
            ),
            nodes=nodes,
        )


def initial_state(head: TransducerHead, batch_size: int, beam_size: int) -> BeamState:
    """One empty hypothesis per stream, K - 1 empty places."""
    output, predictor = head.predictor.start(batch_size * beam_size)
    projected = head.joint.predictor_projection(output).unflatten(0, (batch_size, beam_size))
    scores = torch.full((batch_size, beam_size), NOTHING, dtype=torch.double, device=output.device)
    scores[:, 0] = 0
    return BeamState(
        Carry.empty(head, batch_size),
        scores,
        torch.zeros(batch_size, beam_size, dtype=torch.long, device=output.device),
        projected,
        tuple(part.unflatten(0, (batch_size, beam_size)) for part in predictor),
        torch.zeros(batch_size, dtype=torch.long, device=output.device),
        [[None] * beam_size for _ in range(batch_size)],
    )
