"""What the beam search works with inside a step: hypotheses as tensors and the log of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xlsrt.search.beam_state import Node
from xlsrt.transducer.predictor import PredictorState


@dataclass(frozen=True)
class Hypotheses:
    """K hypotheses of R streams during a search.

    scores (R, K) float64, -inf = empty; keys (R, K) fingerprints of the tokens; nodes (R, K) numbers in the
    `Log`; memory (R, K) numbers in the `Walk` of its fusion, zeros without one; projected (R, K, J);
    predictor: tensors (R, K, ...).
    """

    scores: Tensor
    keys: Tensor
    nodes: Tensor
    memory: Tensor
    projected: Tensor
    predictor: PredictorState

    def rows(self, index: Tensor) -> Hypotheses:
        """Those of some streams."""
        return self._mapped(lambda part: part.index_select(0, index))

    def put(self, index: Tensor, other: Hypotheses) -> None:
        """Overwrite those of some streams, in place."""
        for mine, new in zip(self._parts(), other._parts(), strict=True):
            mine[index] = new

    def pick(self, slots: Tensor) -> Hypotheses:
        """Slots (R, M) of each stream."""
        lines = torch.arange(slots.size(0), device=slots.device).unsqueeze(1)
        index = lines * self.scores.size(1) + slots
        return self._mapped(lambda part: picked(part.flatten(0, 1), index))

    def beside(self, other: Hypotheses) -> Hypotheses:
        """Both sets of hypotheses of each stream."""
        pairs = zip(self._parts(), other._parts(), strict=True)
        return _from_parts([torch.cat(pair, dim=1) for pair in pairs])

    def clone(self) -> Hypotheses:
        """A copy that may be changed in place."""
        return self._mapped(torch.clone)

    def _parts(self) -> list[Tensor]:
        return [self.scores, self.keys, self.nodes, self.memory, self.projected, *self.predictor]

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> Hypotheses:
        return _from_parts([function(part) for part in self._parts()])


def picked(table: Tensor, index: Tensor) -> Tensor:
    """(N, ...) and (...) -> ``table[index]``: on a CPU a quarter of its time, since rows are copied whole."""
    return table.index_select(0, index.flatten()).unflatten(0, tuple(index.shape))


def _from_parts(parts: list[Tensor]) -> Hypotheses:
    scores, keys, nodes, memory, projected, *predictor = parts
    return Hypotheses(scores, keys, nodes, memory, projected, tuple(predictor))


class Choices(NamedTuple):
    """The k likeliest tokens after each hypothesis, all (R, K, k): what they add to its score, their ids, and
    their log-probabilities without fusion.
    """

    values: Tensor
    tokens: Tensor
    log_probs: Tensor


def contexts(heard: Tensor, memory: Tensor, alive: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Which hypotheses of a stream predictor, joint and fusion cannot tell apart, to ask them only once.

    Args:
        heard: (R, K, C) all that the predictor knows. memory: (R, K) states of the fusion.
        alive: (R, K) False at empty places, whose results are of no use: they share place 0's.

    Returns:
        (R, K) numbers below U of what differs; the stream (U,), below R, and place (U,), below K, of each.
    """
    heard = torch.cat([heard, memory.unsqueeze(2)], dim=2)
    equal = (heard.unsqueeze(2) == heard.unsqueeze(1)).all(3)
    # An empty place leads nobody: commits leave some amid the live ones.
    equal &= alive.unsqueeze(1)
    equal[..., 0] |= ~alive
    first = equal.int().argmax(2)
    leads = first == torch.arange(first.size(1), device=first.device)
    numbers = leads.flatten().cumsum(0).view_as(first) - 1
    stream, place = leads.nonzero().unbind(1)
    return numbers.gather(1, first), (stream, place)


class Log:
    """The tokens that a step adds, by number; only what survives becomes `Node` objects."""

    def __init__(self, nodes: list[list[Node | None]]) -> None:
        self.old = [node for row in nodes for node in row]
        self.size = len(self.old)
        self.entries: list[tuple[Tensor, ...]] = []

    def add(self, parents: Tensor, tokens: Tensor, frames: Tensor, probs: Tensor, memory: Tensor) -> Tensor:
        """Tensors (R, K) -> the numbers of the new nodes (R, K)."""
        numbers = self.size + torch.arange(parents.numel(), device=parents.device).view_as(parents)
        self.size += parents.numel()
        self.entries.append((parents, tokens, frames.expand_as(parents), probs, memory))
        return numbers

    def nodes(self, numbers: Tensor, memories: Sequence[Any]) -> list[list[Node | None]]:
        """Numbers (B, K) -> nodes; what two hypotheses share stays shared. ``memories`` by their number."""
        known: dict[int, Node | None] = dict(enumerate(self.old))
        if not self.entries:
            return [[known[number] for number in row] for row in numbers.tolist()]
        columns = [torch.cat([entry[i].reshape(-1) for entry in self.entries]).tolist() for i in range(5)]
        base = len(self.old)

        def build(number: int) -> Node | None:
            chain = []
            while number not in known:
                chain.append(number)
                number = columns[0][number - base]
            node = known[number]
            for link in reversed(chain):
                _, token, frame, prob, memory = (column[link - base] for column in columns)
                node = Node(node, token, frame, prob, memories[memory] if memories else None)
                known[link] = node
            return node

        return [[build(number) for number in row] for row in numbers.tolist()]


def mixed_key(keys: Tensor, tokens: Tensor) -> Tensor:
    """Fingerprint of a transcript from that of its beginning and its last token.

    64 bits, well mixed: two different transcripts share one with a probability of about 1e-18.
    """
    mixed = (keys ^ (tokens + 1)) * -7046029254386353131
    mixed = (mixed ^ ((mixed >> 32) & 0xFFFFFFFF)) * -4658895280553007687
    return mixed ^ ((mixed >> 29) & 0x7FFFFFFFF)
