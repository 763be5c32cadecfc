"""What every search offers and does alike. States go in and come out (`xlsrt.search.states`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.carry import Carry, flush, push
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.transducer import TransducerHead


class Search(ABC):
    """A resumable batched search on a transducer's head. States are `SearchState` of its own kind."""

    head: TransducerHead

    @abstractmethod
    def init_state(self, batch_size: int) -> Any:
        """The state of streams before their first frame."""

    @abstractmethod
    def nbest(self, state: Any, count: int) -> list[list[Hypothesis]]:
        """At most ``count`` hypotheses of each stream, best first; a greedy search has one."""

    @abstractmethod
    def stable(self, state: Any) -> list[int]:
        """For each stream how many tokens of its best hypothesis can no longer change."""

    @abstractmethod
    def _walk(self, frames: Tensor, counts: Tensor, state: Any) -> Any:
        """Joint frames (B, N, J), counts (B,): search each stream to its end."""

    @torch.no_grad()
    def step(self, enc: Tensor, lens: Tensor, state: Any) -> Any:
        """Search the next encoder frames (B, T, D), lens (B,)."""
        frames, counts, carry = push(self.head, enc, lens, state.carry)
        return self._walk(frames, counts, replace(state, carry=carry))

    @torch.no_grad()
    def drain(self, state: Any) -> Any:
        """Search the last incomplete group too; the streams have ended."""
        frames, counts = flush(self.head, state.carry)
        return self._walk(frames, counts, replace(state, carry=Carry.empty(self.head, state.batch_size)))

    def finish(self, state: Any) -> list[Hypothesis]:
        """The best hypotheses of streams that have ended."""
        return self.best(self.drain(state))

    def best(self, state: Any) -> list[Hypothesis]:
        """The best hypothesis of each stream so far."""
        return [found[0] for found in self.nbest(state, 1)]

    def restart(self, state: Any, rows: list[int]) -> Any:
        """Begin a new hypothesis in the streams ``rows``; their frame counters and carried frames stay."""
        return state.restarted(self.init_state(len(rows)), rows) if rows else state


def check_penalty(value: float) -> float:
    """``blank_penalty`` if it is a finite number, else a `UserError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"search: blank_penalty is {value!r}; it must be a number such as 1.0")
    return float(value)


def window_width(limit: int, rows: int, longest: int, device: torch.device) -> int:
    """How many joint frames to look at together for each of ``rows`` streams of at most ``longest``.

    Beyond a stream's next token all is in vain. On a CPU that costs more than a round more does.
    """
    width = min(limit, max(1, longest))
    return width if device.type != "cpu" else min(width, max(4, 64 // rows))


def joint_log_probs(head: TransducerHead, frames: Tensor, projected: Tensor, blank_penalty: float) -> Tensor:
    """Projected frames and predictor outputs (..., J) that broadcast -> log-probabilities (..., V), float32.

    The blank's logits are lowered by ``blank_penalty``, as in icefall: a model that has heard little speech
    spreads a token over many frames, in each of which the blank wins.
    """
    logits: Tensor = head.joint(frames, projected).float()
    if blank_penalty:
        logits[..., head.config.blank_id] -= blank_penalty
    return torch.log_softmax(logits, dim=-1)
