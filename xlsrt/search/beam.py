"""Batched beam search, frame by frame, with several tokens per frame and merging of equal hypotheses.

At a frame every hypothesis may end with a blank or grow by a token, the grown ones again, and so on (breadth
first, after arXiv 1211.3711, section 2.4). It grows only into what can still be among the K best of the frame
and lies within ``margin`` of the best. Frames at which nothing can grow merely add their blanks; as in the
greedy search, a window of them is taken at once for the batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.base import check_penalty, joint_logits
from xlsrt.search.beam_parts import Hypotheses, Log, mixed_key
from xlsrt.search.beam_state import BeamState, Node, initial_state
from xlsrt.search.carry import Carry, flush, push
from xlsrt.search.fusion import Fusion, Walk
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.transducer import TransducerHead

NOTHING = float("-inf")


class BeamSearch:
    """The K best transcripts.

    Args:
        head: the transducer's head, in eval mode. beam_size: K.
        max_symbols: tokens per joint frame at most.
        margin: nothing grows that falls so far (natural logarithm) behind the best of its frame.
        length_norm: rank the hypotheses by score per token (and one) instead of score.
        window: joint frames looked at together; speed only, never the result.
        blank_penalty: taken from the blank's logits (natural logarithm); more means fewer deletions and more
            insertions.
        fusion: scores added to those of the transducer (`xlsrt.search.fusion`), or None.
    """

    def __init__(
        self,
        head: TransducerHead,
        beam_size: int = 4,
        max_symbols: int = 10,
        margin: float = 5.0,
        length_norm: bool = False,
        window: int = 4,
        blank_penalty: float = 0.0,
        fusion: Fusion | None = None,
    ) -> None:
        if min(beam_size, max_symbols, window) < 1 or not margin > 0:
            raise UserError(
                f"beam: beam_size ({beam_size}), max_symbols ({max_symbols}) and window ({window}) must be "
                f"1 or more, margin ({margin}) above 0"
            )
        self.head = head
        self.beam_size = beam_size
        self.max_symbols = max_symbols
        self.margin = margin
        self.length_norm = length_norm
        self.window = window
        self.blank_penalty = check_penalty(blank_penalty)
        self.fusion = fusion

    @torch.no_grad()
    def init_state(self, batch_size: int) -> BeamState:
        """The state before the first frame: one empty hypothesis per stream."""
        return initial_state(self.head, batch_size, self.beam_size)

    @torch.no_grad()
    def step(self, enc: Tensor, lens: Tensor, state: BeamState) -> BeamState:
        """Search the next encoder frames (B, T, D), lens (B,)."""
        frames, counts, carry = push(self.head, enc, lens.to(enc.device), state.carry)
        return self._search(frames, counts, replace(state, carry=carry))

    @torch.no_grad()
    def drain(self, state: BeamState) -> BeamState:
        """Search the last incomplete group too; the streams have ended."""
        frames, counts = flush(self.head, state.carry)
        return self._search(frames, counts, replace(state, carry=Carry.empty(self.head, state.batch_size)))

    def finish(self, state: BeamState) -> list[Hypothesis]:
        """The best hypotheses of streams that have ended."""
        return self.best(self.drain(state))

    def best(self, state: BeamState) -> list[Hypothesis]:
        """The best hypothesis of each stream so far."""
        return [found[0] for found in self.nbest(state, 1)]

    def nbest(self, state: BeamState, count: int) -> list[list[Hypothesis]]:
        """At most ``count`` hypotheses of each stream, best first."""
        results = []
        for nodes, scores in zip(state.nodes, state.scores.tolist(), strict=True):
            alive = [
                (node, score + self._final(node))
                for node, score in zip(nodes, scores, strict=True)
                if score > NOTHING
            ]
            alive.sort(key=lambda pair: -self._rank(*pair))
            size = self.head.config.output_subsampling
            results.append([_hypothesis(node, score, size) for node, score in alive[:count]])
        return results

    def stable(self, state: BeamState) -> list[int]:
        """For each stream how many tokens all its hypotheses share: those can no longer change."""
        counts = []
        for nodes, scores in zip(state.nodes, state.scores.tolist(), strict=True):
            heads = [node for node, score in zip(nodes, scores, strict=True) if score > NOTHING]
            while any(head is not heads[0] for head in heads):
                depth = max(head.depth for head in heads if head is not None)
                heads = [head.parent if head and head.depth == depth else head for head in heads]
            counts.append(heads[0].depth if heads[0] else 0)
        return counts

    def restart(self, state: BeamState, rows: list[int]) -> BeamState:
        """Begin a new hypothesis in the streams ``rows``; their frame counters and carried frames stay."""
        return state.restarted(self.init_state(len(rows)), rows) if rows else state

    def _final(self, node: Node | None) -> float:
        """What the fusion adds to a transcript that ends here; it also takes back what was only lent."""
        if self.fusion is None:
            return 0.0
        return self.fusion.final(node.memory if node else self.fusion.init())

    def _rank(self, node: Node | None, score: float) -> float:
        return score / (1 + (node.depth if node else 0)) if self.length_norm else score

    def _search(self, frames: Tensor, counts: Tensor, state: BeamState) -> BeamState:
        """Joint frames (B, N, J), counts (B,): walk each stream to its end."""
        log = Log(state.nodes)
        walk = Walk(self.fusion) if self.fusion else None
        numbers = torch.arange(log.size, device=frames.device).view_as(state.keys)
        memory = torch.zeros_like(numbers)
        if walk:
            known = [walk.number(node.memory) if node else 0 for node in log.old]
            memory = torch.tensor(known, device=frames.device).view_as(numbers)
        beam = Hypotheses(state.scores, state.keys, numbers, memory, state.projected, state.predictor).clone()
        frames = torch.nn.functional.pad(frames, (0, 0, 0, self.window))
        offsets = torch.arange(self.window, device=frames.device)
        time = torch.zeros_like(counts)
        while True:
            rows = (time < counts).nonzero().squeeze(1)
            if rows.numel() == 0:
                break
            now = beam.rows(rows)
            at = time[rows].unsqueeze(1) + offsets
            valid = at < counts[rows].unsqueeze(1)
            window = frames[rows.unsqueeze(1), at]
            log_probs = self._log_probs(window.unsqueeze(1), now.projected.unsqueeze(2))  # (R, K, W, V)
            blanks = log_probs[..., self.head.config.blank_id].double().masked_fill(~valid.unsqueeze(1), 0)
            after = now.scores.unsqueeze(2) + blanks.cumsum(2)
            extra = walk.rows(now.memory) if walk else None
            tokens = self._tokens(log_probs, None if extra is None else extra.unsqueeze(2))
            grown = tokens.amax(3).double() + (after - blanks)
            busy = (grown.amax(1) > self._cut(after, dim=1)) & valid
            stop = torch.where(busy.any(1), busy.int().argmax(1), valid.sum(1))
            skipped = after.gather(2, (stop - 1).clamp(min=0).view(-1, 1, 1).expand(-1, after.size(1), 1))
            beam.scores[rows] = torch.where((stop > 0).unsqueeze(1), skipped.squeeze(2), now.scores)
            time[rows] += stop
            line = busy.any(1).nonzero().squeeze(1)
            if line.numel() == 0:
                continue
            rows, stop = rows[line], stop[line]
            grid = (line.unsqueeze(1), torch.arange(beam.keys.size(1), device=line.device), stop.unsqueeze(1))
            clock = (state.frames[rows] + time[rows]).unsqueeze(1)
            ended = self._grow(beam.rows(rows), window[line, stop], log_probs[grid], clock, log, walk)
            beam.put(rows, ended)
            time[rows] += 1
        return replace(
            state,
            scores=beam.scores,
            keys=beam.keys,
            projected=beam.projected,
            predictor=beam.predictor,
            frames=state.frames + counts,
            nodes=log.nodes(beam.nodes, walk.states if walk else ()),
        )

    def _grow(
        self,
        front: Hypotheses,
        frame: Tensor,
        log_probs: Tensor,
        clock: Tensor,
        log: Log,
        walk: Walk | None,
    ) -> Hypotheses:
        """One frame (R, J) where tokens may come; ``log_probs`` (R, K, V) of ``front``; ``clock`` (R, 1)."""
        blank = self.head.config.blank_id
        ended = replace(front, scores=front.scores + log_probs[..., blank].double())
        for _ in range(self.max_symbols):
            extra = walk.rows(front.memory) if walk else None
            scores = self._tokens(log_probs, extra).double() + front.scores.unsqueeze(2)  # (R, K, V)
            vocabulary = scores.size(2)
            top, place = scores.flatten(1).topk(min(self.beam_size, scores[0].numel()), dim=1)
            top = top.masked_fill(top <= self._cut(ended.scores, dim=1).unsqueeze(1), NOTHING)
            if not bool((top > NOTHING).any()):
                break
            slot, token = torch.div(place, vocabulary, rounding_mode="floor"), place % vocabulary
            parent = front.pick(slot)
            lines = torch.arange(slot.size(0), device=slot.device).unsqueeze(1)
            flat = tuple(part.flatten(0, 1) for part in parent.predictor)
            output, after = self.head.predictor.step(token.flatten(), flat)
            memory = walk.advance(parent.memory, token, top > NOTHING) if walk else parent.memory
            front = Hypotheses(
                top,
                mixed_key(parent.keys, token),
                log.add(parent.nodes, token, clock, log_probs[lines, slot, token].exp(), memory),
                memory,
                self.head.joint.predictor_projection(output).unflatten(0, slot.shape),
                tuple(part.unflatten(0, slot.shape) for part in after),
            )
            log_probs = self._log_probs(frame.unsqueeze(1), front.projected)
            blanked = replace(front, scores=front.scores + log_probs[..., blank].double())
            ended = self._merged(ended, blanked)
        return ended

    def _merged(self, old: Hypotheses, new: Hypotheses) -> Hypotheses:
        """The K best of both. Equal transcripts add their probabilities and keep the better one's times."""
        equal = old.keys.unsqueeze(2) == new.keys.unsqueeze(1)  # (R, K, K)
        equal &= (old.scores > NOTHING).unsqueeze(2) & (new.scores > NOTHING).unsqueeze(1)
        twin = equal.int().argmax(2)
        has_twin = equal.any(2)
        other = new.scores.gather(1, twin).masked_fill(~has_twin, NOTHING)
        # A twin has the same tokens, so its memory is the same too.
        nodes = torch.where(other > old.scores, new.nodes.gather(1, twin), old.nodes)
        scores = torch.where(has_twin, torch.logaddexp(old.scores, other), old.scores)
        both = replace(old, scores=scores, nodes=nodes).beside(
            replace(new, scores=new.scores.masked_fill(equal.any(1), NOTHING))
        )
        return both.pick(both.scores.topk(self.beam_size, dim=1).indices)

    def _log_probs(self, frames: Tensor, projected: Tensor) -> Tensor:
        logits = joint_logits(self.head, frames, projected, self.blank_penalty)
        return torch.log_softmax(logits, dim=-1)

    def _tokens(self, log_probs: Tensor, extra: Tensor | None) -> Tensor:
        """Log-probabilities and what the fusion adds to them, with the blank ruled out."""
        blank = self.head.config.blank_id
        log_probs = log_probs if extra is None else log_probs + extra
        return log_probs.index_fill(-1, torch.tensor([blank], device=log_probs.device), NOTHING)

    def _cut(self, scores: Tensor, dim: int) -> Tensor:
        """What a grown hypothesis must exceed: the worst of K at that frame, and the best less the margin."""
        return torch.maximum(scores.amin(dim), scores.amax(dim) - self.margin)


def _hypothesis(node: Node | None, score: float, size: int) -> Hypothesis:
    tokens: list[int] = []
    frames: list[int] = []
    probs: list[float] = []
    while node is not None:
        tokens.append(node.token)
        frames.append(node.frame * size)
        probs.append(node.prob)
        node = node.parent
    return Hypothesis(tokens[::-1], frames[::-1], probs[::-1], score)
