"""Batched greedy search by label looping (after arXiv 2406.06220).

The batch steps from token to token, not from frame to frame: each round looks at a window of frames of every
stream at once and jumps over the blanks in front of its next token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.base import Search, check_penalty, joint_log_probs, window_width
from xlsrt.search.carry import Carry
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.search.outputs import PredictorOutputs
from xlsrt.search.states import SearchState
from xlsrt.transducer import TransducerHead

Found = tuple[list[int], list[int], list[float]]
"""Token ids, joint frames, probabilities of one stream."""


@dataclass(frozen=True)
class GreedyState(SearchState):
    """Where B greedy searches stand; ``projected`` is (B, J).

    Attributes:
        score: (B,) float64, log-probability of the path.
        hypotheses: B triples of token ids, joint frames and probabilities.
    """

    score: Tensor
    hypotheses: list[Found]


class GreedySearch(Search):
    """The most probable symbol at every step; at most ``max_symbols`` tokens per joint frame.

    Args:
        head: the transducer's head, in eval mode.
        max_symbols: after so many tokens at one frame the search moves on to the next frame without a blank.
        window: joint frames looked at together at most; speed only, never the result.
        blank_penalty: taken from the blank's logits (natural logarithm); more means fewer deletions and more
            insertions.
    """

    def __init__(
        self, head: TransducerHead, max_symbols: int = 10, window: int = 16, blank_penalty: float = 0.0
    ) -> None:
        if max_symbols < 1 or window < 1:
            raise UserError(f"greedy: max_symbols ({max_symbols}) and window ({window}) must be 1 or more")
        self.head = head
        self.max_symbols = max_symbols
        self.window = window
        self.blank_penalty = check_penalty(blank_penalty)
        self._outputs = PredictorOutputs(head)

    @torch.no_grad()
    def init_state(self, batch_size: int) -> GreedyState:
        """The state before the first frame."""
        output, predictor = self.head.predictor.start(batch_size)
        projected = self.head.joint.predictor_projection(output)
        zeros = torch.zeros(batch_size, dtype=torch.long, device=projected.device)
        return GreedyState(
            Carry.empty(self.head, batch_size),
            zeros,
            predictor,
            projected,
            zeros.double(),
            [([], [], []) for _ in range(batch_size)],
        )

    def nbest(self, state: GreedyState, count: int) -> list[list[Hypothesis]]:
        """The only hypothesis of each stream."""
        size = self.head.config.output_subsampling
        return [
            [Hypothesis(list(tokens), [frame * size for frame in frames], list(probs), score)]
            for (tokens, frames, probs), score in zip(state.hypotheses, state.score.tolist(), strict=True)
        ]

    def stable(self, state: GreedyState) -> list[int]:
        """For each stream how many tokens of its best hypothesis can no longer change: all of them."""
        return [len(tokens) for tokens, _, _ in state.hypotheses]

    def _walk(self, frames: Tensor, counts: Tensor, state: GreedyState) -> GreedyState:
        """Joint frames (B, N, J), counts (B,): walk each stream to its end."""
        blank, flat = self.head.config.blank_id, frames.flatten(0, 1)
        ended = [part.clone() for part in (state.score, state.projected, *state.predictor)]
        rows = counts.nonzero().squeeze(1)
        begin = rows * frames.size(1)
        # Of the streams that go on, row for row; a row is copied only when it is its last, not in each round.
        at, until, clock = begin, begin + counts[rows], state.frames[rows] - begin
        here = torch.zeros_like(rows)
        score, projected, *predictor = (part[rows] for part in ended)
        steps = torch.arange(self.window, device=frames.device)
        found: list[tuple[Tensor, ...]] = []
        looks = said = 0
        while len(rows):
            width = window_width(self.window, len(rows), frames.size(1), frames.device)
            if frames.device.type == "cpu" and 3 * said > 2 * looks:
                width = (width + 1) // 2  # a model that spells says something in almost every window
            offsets = steps[:width]
            # Beyond a stream's end come the frames of others, which are looked at in vain.
            ahead = flat[(at.unsqueeze(1) + offsets).clamp_(max=len(flat) - 1)]  # (R, W, J)
            log_probs = joint_log_probs(self.head, ahead, projected.unsqueeze(1), self.blank_penalty)
            blanks = log_probs[..., blank]
            left = until - at
            stops = (log_probs.amax(-1) > blanks) & (offsets < left.unsqueeze(1))
            emits = stops.any(1)
            # Index of the window's first token, or of its end: the blanks in front of it are taken at once.
            stop = torch.where(emits, stops.int().argmax(1), left.clamp(max=len(offsets)))
            score += blanks.double().masked_fill(offsets >= stop.unsqueeze(1), 0).sum(1)
            at = at + stop
            here = (here.masked_fill(stop > 0, 0) + 1) * emits
            line = emits.nonzero().squeeze(1)
            looks, said = looks + len(rows), said + len(line)
            if len(line):
                log_prob, token = log_probs[line, stop[line]].max(-1)
                score[line] += log_prob.double()
                found.append((rows[line], token, (clock + at)[line], log_prob.exp()))
                output, after = self._outputs.step(token, tuple(part[line] for part in predictor))
                for part, new in zip((projected, *predictor), (output, *after), strict=True):
                    part[line] = new
                full = here >= self.max_symbols
                at, here = at + full, here.masked_fill(full, 0)
            going = at < until
            if not bool(going.all()):
                for whole, part in zip(ended, (score, projected, *predictor), strict=True):
                    whole[rows[~going]] = part[~going]
                parts = (rows, at, until, clock, here, score, projected, *predictor)
                rows, at, until, clock, here, score, projected, *predictor = (part[going] for part in parts)
        score, projected, *predictor = ended
        return replace(
            state,
            predictor=tuple(predictor),
            projected=projected,
            frames=state.frames + counts,
            score=score,
            hypotheses=_extended(state.hypotheses, found),
        )


def _extended(hypotheses: list[Found], found: list[tuple[Tensor, ...]]) -> list[Found]:
    """New lists with the tokens found; the lists of streams without news are shared with the old state."""
    if not found:
        return hypotheses
    rows, tokens, frames, probs = (torch.cat(column).tolist() for column in zip(*found, strict=True))
    result = list(hypotheses)
    for row in set(rows):
        result[row] = tuple(list(part) for part in hypotheses[row])  # type: ignore[assignment]
    for row, token, frame, prob in zip(rows, tokens, frames, probs, strict=True):
        result[row][0].append(token)
        result[row][1].append(frame)
        result[row][2].append(prob)
    return result
