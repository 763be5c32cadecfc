"""Old words are settled: hypotheses that differ from the best one in them are given up.

Without that, two spellings of a word can both live on to the end of a recording, each with every
continuation: half of the beam is spent on what was said long ago, and the word never counts as stable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xlsrt.context import FRAME_MS
from xlsrt.errors import UserError
from xlsrt.search.beam_state import NOTHING, BeamState, Node


@dataclass(frozen=True)
class Commit:
    """When and what, in joint frames; looked at after every ``period`` frames of a stream's life, so that how
    it is cut into packets does not matter.

    Attributes:
        horizon: tokens that are older are settled. period: frames from one look to the next.
    """

    horizon: int
    period: int

    @classmethod
    def from_seconds(cls, seconds: float, subsampling: int) -> Commit:
        """The best hypothesis has no unsettled token older than ``seconds`` when it is looked at."""
        if not 0 < seconds < math.inf:
            raise UserError(f"beam: commit_seconds is {seconds!r}; give seconds above 0, or leave it out")
        frames = max(1, round(1000 * seconds / (FRAME_MS * subsampling)))
        period = max(1, frames // 3)
        return cls(max(0, frames - period), period)

    def until(self, done: Tensor, counts: Tensor, frames: Tensor) -> Tensor:
        """How far streams (B,) may be searched before the next look: ``counts`` frames at most, of which
        ``done`` are, at an age of ``frames``.
        """
        return torch.minimum(counts, done + self.period - frames % self.period)

    def applied(self, state: BeamState, rank: Callable[[Node | None, float], float]) -> BeamState:
        """The state without hypotheses that differ from the best one, by ``rank`` of last token and score, in
        what is settled. Streams that are not due stay as they are.
        """
        scores = state.scores.clone()
        ages = state.frames.tolist()
        for row, (nodes, values, age) in enumerate(zip(state.nodes, scores.tolist(), ages, strict=True)):
            alive = [place for place, value in enumerate(values) if value > NOTHING]
            if age % self.period or len(alive) < 2:
                continue
            settled = nodes[max(alive, key=lambda place: rank(nodes[place], values[place]))]
            while settled and settled.frame >= age - self.horizon:
                settled = settled.parent
            for place in alive:
                if not _begins_with(nodes[place], settled):
                    scores[row, place] = NOTHING
        return replace(state, scores=scores)


def _begins_with(node: Node | None, start: Node | None) -> bool:
    while node and start and node.depth > start.depth:
        node = node.parent
    if start and (node is None or node.depth < start.depth):
        return False
    # Equal transcripts may consist of other nodes, with other times.
    while start is not None and node is not None and node is not start:
        if node.token != start.token:
            return False
        node, start = node.parent, start.parent
    return True
