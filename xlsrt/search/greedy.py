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
        blank = self.head.config.blank_id
        predictor = tuple(part.clone() for part in state.predictor)
        projected, score = state.projected.clone(), state.score.clone()
        flat = torch.nn.functional.pad(frames, (0, 0, 0, self.window)).flatten(0, 1)
        begin = torch.arange(frames.size(0), device=frames.device) * (frames.size(1) + self.window)
        time = torch.zeros_like(counts)
        emitted_here = torch.zeros_like(counts)
        found: list[tuple[Tensor, ...]] = []
        while True:
            rows = (time < counts).nonzero().squeeze(1)
            if rows.numel() == 0:
                break
            now = time[rows]
            offsets = torch.arange(
                window_width(self.window, len(rows), frames.size(1), frames.device), device=frames.device
            )
            ahead = flat[(begin[rows] + now).unsqueeze(1) + offsets]  # (R, W, J)
            log_probs = joint_log_probs(self.head, ahead, projected[rows].unsqueeze(1), self.blank_penalty)
            blanks = log_probs[..., blank]
            left = counts[rows] - now
            stops = (log_probs.amax(-1) > blanks) & (offsets < left.unsqueeze(1))
            emits = stops.any(1)
            # Index of the window's first token, or of its end: the blanks in front of it are taken at once.
            stop = torch.where(emits, stops.int().argmax(1), left.clamp(max=len(offsets)))
            score[rows] += blanks.double().masked_fill(offsets >= stop.unsqueeze(1), 0).sum(1)
            now = now + stop
            time[rows] = now
            line = emits.nonzero().squeeze(1)
            if line.numel() == 0:
                emitted_here[rows] = 0
                continue
            symbols = torch.where(stop > 0, 0, emitted_here[rows])[line] + 1
            emitted_here[rows] = 0
            rows, now = rows[line], now[line]
            log_prob, token = log_probs[line, stop[line]].max(-1)
            score[rows] += log_prob.double()
            found.append((rows, token, state.frames[rows] + now, log_prob.exp()))
            output, after = self._outputs.step(token, tuple(part[rows] for part in predictor))
            for part, new in zip(predictor, after, strict=True):
                part[rows] = new
            projected[rows] = output
            full = symbols >= self.max_symbols
            time[rows] = now + full.long()
            emitted_here[rows] = symbols.masked_fill(full, 0)
        return replace(
            state,
            predictor=predictor,
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
