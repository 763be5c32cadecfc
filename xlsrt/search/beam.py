"""Batched beam search, frame by frame, with several tokens per frame and merging of equal hypotheses.

At a frame every hypothesis may end with a blank or grow by a token, the grown ones again, and so on (breadth
first, after arXiv 1211.3711, section 2.4). It grows only into what can still be among the K best of the frame
and lies within ``margin`` of the best. Frames at which nothing can grow merely add their blanks; as in the
greedy search, a window of them is taken at once for the batch.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.base import Search, check_penalty, joint_log_probs, window_width
from xlsrt.search.beam_parts import Choices, Hypotheses, Log, contexts, mixed_key, picked
from xlsrt.search.beam_state import NOTHING, BeamState, Node, initial_state
from xlsrt.search.commit import Commit
from xlsrt.search.fusion import Fusion, Walk
from xlsrt.search.hypothesis import Hypothesis
from xlsrt.search.options import BEAM_SIZE
from xlsrt.search.outputs import PredictorOutputs
from xlsrt.transducer import TransducerHead


class BeamSearch(Search):
    """The K best transcripts.

    Args:
        head: the transducer's head, in eval mode. beam_size: K.
        max_symbols: tokens per joint frame at most.
        margin: nothing grows that falls so far (natural logarithm) behind the best of its frame.
        length_norm: rank the hypotheses by score per token (and one) instead of score.
        window: joint frames looked at together at most; speed only, never the result.
        blank_penalty: taken from the blank's logits (natural logarithm); more means fewer deletions and more
            insertions.
        fusion: scores added to those of the transducer (`xlsrt.search.fusion`), or None.
        commit_seconds: a token is settled so long after its frame at the latest: hypotheses without it are
            given up (`xlsrt.search.commit`); None: never.
    """

    def __init__(
        self,
        head: TransducerHead,
        beam_size: int = BEAM_SIZE,
        max_symbols: int = 10,
        margin: float = 5.0,
        length_norm: bool = False,
        window: int = 8,
        blank_penalty: float = 0.0,
        fusion: Fusion | None = None,
        commit_seconds: float | None = None,
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
        self.commit = None
        if commit_seconds is not None:
            self.commit = Commit.from_seconds(commit_seconds, head.config.output_subsampling)
        self._outputs = PredictorOutputs(head)

    @torch.no_grad()
    def init_state(self, batch_size: int) -> BeamState:
        """The state before the first frame: one empty hypothesis per stream."""
        return initial_state(self.head, batch_size, self.beam_size)

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
        """For each stream how many tokens all its hypotheses share, if not their times: those can no longer
        change.
        """
        counts = []
        for nodes, scores in zip(state.nodes, state.scores.tolist(), strict=True):
            heads = [node for node, score in zip(nodes, scores, strict=True) if score > NOTHING]
            tails: list[list[int]] = [[] for _ in heads]
            while any(head is not heads[0] for head in heads):
                depth = max(head.depth for head in heads if head is not None)
                for place, head in enumerate(heads):
                    if head is not None and head.depth == depth:
                        tails[place].append(head.token)
                        heads[place] = head.parent
            # Tokens after the common node, last one first; equal ones may have been said at other frames.
            columns = zip(*(reversed(tail) for tail in tails), strict=False)
            equal = itertools.takewhile(lambda column: len(set(column)) == 1, columns)
            counts.append((heads[0].depth if heads[0] else 0) + sum(1 for _ in equal))
        return counts

    def _final(self, node: Node | None) -> float:
        """What the fusion adds to a transcript that ends here; it also takes back what was only lent."""
        if self.fusion is None:
            return 0.0
        return self.fusion.final(node.memory if node else self.fusion.init())

    def _placed(self, node: Node | None, score: float) -> float:
        return self._rank(node, score + self._final(node))

    def _rank(self, node: Node | None, score: float) -> float:
        return score / (1 + (node.depth if node else 0)) if self.length_norm else score

    def _walk(self, frames: Tensor, counts: Tensor, state: BeamState) -> BeamState:
        """Joint frames (B, N, J), counts (B,): search each stream to its end and settle old tokens."""
        done = torch.zeros_like(counts)
        # One after the other, each followed by frames for windows that reach beyond its end.
        flat = torch.nn.functional.pad(frames, (0, 0, 0, self.window)).flatten(0, 1)
        begin = torch.arange(frames.size(0), device=frames.device) * (frames.size(1) + self.window)
        if self.commit is None:
            return self._search(flat, begin, counts, state)
        while bool((done < counts).any()):
            until = self.commit.until(done, counts, state.frames)
            state = self._search(flat, begin + done, until - done, state)
            state, done = self.commit.applied(state, self._placed), until
        return state

    def _search(self, flat: Tensor, begin: Tensor, counts: Tensor, state: BeamState) -> BeamState:
        """Walk each stream over ``counts`` (B,) of the joint frames ``flat`` (N, J), from ``begin`` (B,)."""
        log = Log(state.nodes)
        walk = Walk(self.fusion) if self.fusion else None
        numbers = torch.arange(log.size, device=flat.device).view_as(state.keys)
        memory = torch.zeros_like(numbers)
        if walk:
            known = [walk.number(node.memory) if node else 0 for node in log.old]
            memory = torch.tensor(known, device=flat.device).view_as(numbers)
        beam = Hypotheses(state.scores, state.keys, numbers, memory, state.projected, state.predictor).clone()
        time, longest = torch.zeros_like(counts), int(counts.max()) if len(counts) else 0
        while True:
            rows = (time < counts).nonzero().squeeze(1)
            if rows.numel() == 0:
                break
            now, scores, at = time[rows], beam.scores[rows], begin[rows] + time[rows]
            width = window_width(self.window, len(rows), longest, flat.device)
            offsets = torch.arange(width, device=flat.device)
            states = tuple(part.index_select(0, rows) for part in beam.predictor)
            heard = self._outputs.heard(None, states, beam.keys[rows])
            shared, (stream, place) = contexts(heard, beam.memory[rows], scores > NOTHING)
            ahead = picked(flat, at[stream].unsqueeze(1) + offsets)  # (U, W, J)
            output = beam.projected[rows[stream], place].unsqueeze(1)
            log_probs = joint_log_probs(self.head, ahead, output, self.blank_penalty)
            extra = walk.rows(beam.memory[rows[stream], place]).unsqueeze(1) if walk else None
            blanks, tokens = self._split(log_probs, extra)
            left = counts[rows] - now
            valid = offsets < left.unsqueeze(1)
            added = blanks[shared].masked_fill(~valid.unsqueeze(1), 0)
            after = scores.unsqueeze(2) + added.cumsum(2)
            grown = tokens.amax(2).double()[shared] + (after - added)
            busy = (grown.amax(1) > self._cut(after, dim=1)) & valid
            grows = busy.any(1)
            stop = torch.where(grows, busy.int().argmax(1), left.clamp(max=len(offsets)))
            skipped = after.gather(2, (stop - 1).clamp(min=0).view(-1, 1, 1).expand(-1, after.size(1), 1))
            beam.scores[rows] = torch.where((stop > 0).unsqueeze(1), skipped.squeeze(2), scores)
            time[rows] = now + stop
            line = grows.nonzero().squeeze(1)
            if line.numel() == 0:
                continue
            rows, now, stop = rows[line], now[line] + stop[line], stop[line]
            grid = shared[line], stop.unsqueeze(1)  # (R, K)
            choices = self._choices(tokens[grid], log_probs[grid])
            clock = (state.frames[rows] + now).unsqueeze(1)
            frame = flat[begin[rows] + now]
            beam.put(rows, self._grow(beam.rows(rows), frame, blanks[grid], choices, clock, log, walk))
            time[rows] = now + 1
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
        blanks: Tensor,
        choices: Choices,
        clock: Tensor,
        log: Log,
        walk: Walk | None,
    ) -> Hypotheses:
        """One frame (R, J) where tokens may come, at ``clock`` (R, 1).

        ``blanks`` (R, K) and ``choices``: of the hypotheses in ``front``.
        """
        ended = replace(front, scores=front.scores + blanks)
        for _ in range(self.max_symbols):
            scores = (front.scores.unsqueeze(2) + choices.values).flatten(1)
            top, place = scores.topk(self.beam_size, dim=1)
            alive = top > self._cut(ended.scores, dim=1).unsqueeze(1)
            if not bool(alive.any()):
                break
            parent = front.pick(torch.div(place, choices.values.size(2), rounding_mode="floor"))
            token = choices.tokens.flatten(1).gather(1, place)
            prob = choices.log_probs.flatten(1).gather(1, place).exp()
            keys = mixed_key(parent.keys, token)
            memory = walk.advance(parent.memory, token, alive) if walk else parent.memory
            heard = self._outputs.heard(token, parent.predictor, keys)
            shared, grid = contexts(heard, memory, alive)
            index = grid[0] * token.size(1) + grid[1]
            states = tuple(picked(part.flatten(0, 1), index) for part in parent.predictor)
            output, after = self._outputs.step(token[grid], states)
            log_probs = joint_log_probs(self.head, picked(frame, grid[0]), output, self.blank_penalty)
            some_blanks, tokens = self._split(log_probs, walk.rows(memory[grid]) if walk else None)
            blanks = some_blanks[shared]
            choices = Choices(*(picked(part, shared) for part in self._choices(tokens, log_probs)))
            front = Hypotheses(
                top.masked_fill(~alive, NOTHING),
                keys,
                log.add(parent.nodes, token, clock, prob, memory),
                memory,
                picked(output, shared),
                tuple(picked(part, shared) for part in after),
            )
            ended = self._merged(ended, replace(front, scores=front.scores + blanks))
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

    def _split(self, log_probs: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log-probabilities (..., V) -> float64 ones of the blank (...), and (..., V) of the tokens with what
        the fusion adds to them and with the blank ruled out. May change ``log_probs`` at the blank.
        """
        blank = self.head.config.blank_id
        blanks = log_probs[..., blank].double()
        tokens = log_probs if extra is None else log_probs + extra
        tokens[..., blank] = NOTHING
        return blanks, tokens

    def _choices(self, tokens: Tensor, log_probs: Tensor) -> Choices:
        """The K best tokens after each hypothesis: the K best of all of them are among these."""
        values, best = tokens.topk(min(self.beam_size, tokens.size(-1)), dim=-1)
        return Choices(values, best, log_probs.gather(-1, best))

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
