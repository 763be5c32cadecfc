"""What every search offers. States go in and come out, with ``select``, ``stack`` and ``unstack``."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

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

    def finish(self, state: Any) -> list[Hypothesis]:
        """The best hypotheses of streams that have ended: ``best`` of ``drain``."""

    def stable(self, state: Any) -> list[int]:
        """For each stream how many tokens of its best hypothesis can no longer change."""

    def restart(self, state: Any, rows: list[int]) -> Any:
        """Begin a new hypothesis in some streams; their clocks go on."""
