"""What every search offers. States go in and come out, with ``select``, ``stack`` and ``unstack``."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.transducer import TransducerHead


class Search(Protocol):
    """A resumable batched search on a transducer's head."""

    head: TransducerHead

    def init_state(self, batch_size: int) -> Any:
        """The state of streams before their first frame."""

    def step(self, enc: Tensor, lens: Tensor, state: Any) -> Any:
        """Search the next encoder frames (B, T, D), lens (B,)."""

    def drain(self, state: Any) -> Any:
        """Search the last incomplete group too; the streams have ended."""

    def best(self, state: Any) -> list[Hypothesis]:
        """The best hypotheses so far."""

    def nbest(self, state: Any, count: int) -> list[list[Hypothesis]]:
        """At most ``count`` hypotheses of each stream, best first; a greedy search has one."""

    def finish(self, state: Any) -> list[Hypothesis]:
        """The best hypotheses of streams that have ended: ``best`` of ``drain``."""

    def stable(self, state: Any) -> list[int]:
        """For each stream how many tokens of its best hypothesis can no longer change."""

    def restart(self, state: Any, rows: list[int]) -> Any:
        """Begin a new hypothesis in some streams; their clocks go on."""


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
