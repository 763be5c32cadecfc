"""Where a batch of beam searches stands between two calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xlsrt.search.carry import Carry
from xlsrt.search.states import SearchState
from xlsrt.transducer import TransducerHead

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
class BeamState(SearchState):
    """K hypotheses of B streams; ``projected`` is (B, K, J), ``predictor`` of tensors (B, K, ...).

    Attributes:
        scores: (B, K) float64, log-probability; -inf marks an empty place.
        keys: (B, K) fingerprints of the token sequences; equal ones are merged.
        nodes: B lists of K last tokens, None for no token.
    """

    scores: Tensor
    keys: Tensor
    nodes: list[list[Node | None]]


def initial_state(head: TransducerHead, batch_size: int, beam_size: int) -> BeamState:
    """One empty hypothesis per stream, K - 1 empty places."""
    output, predictor = head.predictor.start(batch_size * beam_size)
    projected = head.joint.predictor_projection(output).unflatten(0, (batch_size, beam_size))
    scores = torch.full((batch_size, beam_size), NOTHING, dtype=torch.double, device=output.device)
    scores[:, 0] = 0
    return BeamState(
        Carry.empty(head, batch_size),
        torch.zeros(batch_size, dtype=torch.long, device=output.device),
        tuple(part.unflatten(0, (batch_size, beam_size)) for part in predictor),
        projected,
        scores,
        torch.zeros(batch_size, beam_size, dtype=torch.long, device=output.device),
        [[None] * beam_size for _ in range(batch_size)],
    )
