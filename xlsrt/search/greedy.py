"""Batched greedy search by label looping (after arXiv 2406.06220).

The batch steps from token to token, not from frame to frame: each round looks at a window of frames of every
stream at once and jumps over the blanks in front of its next token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.base import check_penalty, joint_log_probs, window_width
from xlsrt.search.carry import Carry, flush, join_carries, push
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.search.outputs import PredictorOutputs
from xlsrt.transducer import TransducerHead
from xlsrt.transducer.predictor import PredictorState

Found = tuple[list[int], list[int], list[float]]
"""Token ids, joint frames, probabilities of one stream."""


@dataclass(frozen=True)
class GreedyState:
    """Where B greedy searches stand. Never changed in place.

    Attributes:
        carry: encoder frames that wait for their group.
        predictor: the predictor's state; projected: (B, J) its projected output.
        frames: (B,) joint frames searched since the stream began.
        score: (B,) float64, log-probability of the path.
        hypotheses: B triples of token ids, joint frames and probabilities.
    """

    carry: Carry
    predictor: PredictorState
    projected: Tensor
    frames: Tensor
    score: Tensor
    hypotheses: list[Found]

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.hypotheses)

    def select(self, streams: Sequence[int]) -> GreedyState:
        """The state of some streams, in the order given."""
        index = torch.as_tensor(list(streams), dtype=torch.long, device=self.frames.device)
        return GreedyState(
            self.carry.rows(index),
            tuple(part[index] for part in self.predictor),
            self.projected[index],
            self.frames[index],
            self.score[index],
            [self.hypotheses[stream] for stream in streams],
        )

    def unstack(self) -> list[GreedyState]:
        """One state of batch size 1 per stream."""
        return [self.select([stream]) for stream in range(self.batch_size)]

    @staticmethod
    def stack(states: Sequence[GreedyState]) -> GreedyState:
        """One batch of the streams of several states, which may be of different ages."""
        return GreedyState(
            join_carries([state.carry for state in states]),
            tuple(torch.cat(parts) for parts in zip(*[state.predictor for state in states], strict=True)),
            torch.cat([state.projected for state in states]),
            torch.cat([state.frames for state in states]),
            torch.cat([state.score for state in states]),
            [hypothesis for state in states for hypothesis in state.hypotheses],
        )


class GreedySearch:
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
            predictor,
            projected,
            zeros,
            zeros.double(),
            [([], [], []) for _ in range(batch_size)],
        )

    @torch.no_grad()
    def step(self, enc: Tensor, lens: Tensor, state: GreedyState) -> GreedyState:
        """Search the next encoder frames (B, T, D), lens (B,)."""
        frames, counts, carry = push(self.head, enc, lens, state.carry)
        return self._search(frames, counts, replace(state, carry=carry))

    @torch.no_grad()
    def drain(self, state: GreedyState) -> GreedyState:
        """Search the last incomplete group too; the streams have ended."""
        frames, counts = flush(self.head, state.carry)
        return self._search(frames, counts, replace(state, carry=Carry.empty(self.head, state.batch_size)))

    def finish(self, state: GreedyState) -> list[Hypothesis]:
        """The hypotheses of streams that have ended."""
        return self.best(self.drain(state))

    def best(self, state: GreedyState) -> list[Hypothesis]:
        """The hypotheses so far."""
        size = self.head.config.output_subsampling
        return [
            Hypothesis(list(tokens), [frame * size for frame in frames], list(probs), score)
            for (tokens, frames, probs), score in zip(state.hypotheses, state.score.tolist(), strict=True)
        ]

    def nbest(self, state: GreedyState, count: int) -> list[list[Hypothesis]]:
        """The only hypothesis of each stream."""
        return [[best] for best in self.best(state)]

    def stable(self, state: GreedyState) -> list[int]:
        """For each stream how many tokens of its best hypothesis can no longer change: all of them."""
        return [len(tokens) for tokens, _, _ in state.hypotheses]

    def restart(self, state: GreedyState, rows: list[int]) -> GreedyState:
        """Begin a new hypothesis in the streams ``rows``; their frame counters and carried frames stay."""
        if not rows:
            return state
        index = torch.as_tensor(rows, device=state.frames.device)
        fresh = self.init_state(len(rows))
        hypotheses = list(state.hypotheses)
        for row, hypothesis in zip(rows, fresh.hypotheses, strict=True):
            hypotheses[row] = hypothesis
        return replace(
            state,
            predictor=tuple(
                old.index_copy(0, index, new)
                for old, new in zip(state.predictor, fresh.predictor, strict=True)
            ),
            projected=state.projected.index_copy(0, index, fresh.projected),
            score=state.score.index_copy(0, index, fresh.score),
            hypotheses=hypotheses,
        )

    def _search(self, frames: Tensor, counts: Tensor, state: GreedyState) -> GreedyState:
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
