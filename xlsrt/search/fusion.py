"""What a beam search adds to the transducer's scores of tokens: language models and phrases to favour.

A scorer's state depends on the tokens of a hypothesis alone, so results stay free of cuts and batches, and
equal transcripts agree on it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from xlsrt.errors import UserError

CACHE_BYTES = 64 * 2**20
CACHE_ROWS = 2048
"""Of 64 streams with beam 8, each frame asks for a few hundred."""


class Scorer(Protocol):
    """Anything that scores the next token. Offer ``final(state) -> float`` too where the end has a score."""

    def init(self) -> Hashable:
        """The state before the first token."""

    def score(self, state: Any) -> Tensor:
        """(V,) natural logarithms to add to each token's score after ``state``; the blank's is not used."""

    def step(self, state: Any, token: int) -> Hashable:
        """The state after one more token."""


class RowCache:
    """The rows of states last used, (V,) each. It saves time and changes no result.

    They lie in one table: a tensor for each would take more memory than its row, more and more in the first
    minutes of a stream.
    """

    def __init__(
        self, compute: Callable[[Any], Tensor], max_bytes: int = CACHE_BYTES, max_rows: int = CACHE_ROWS
    ) -> None:
        self._compute = compute
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._places: OrderedDict[Hashable, int] = OrderedDict()
        self._table: Tensor | None = None

    def __call__(self, state: Hashable) -> Tensor:
        """The row of a state; it is the caller's own."""
        place = self._places.get(state)
        if place is not None and self._table is not None:
            self._places.move_to_end(state)
            return self._table[place].clone()
        row = self._compute(state)
        if self._table is None:
            count = min(self._max_rows, max(1, self._max_bytes // max(1, row.nbytes)))
            self._table = row.new_empty(count, len(row))
        # The row may have been computed from others of this table.
        full = len(self._places) == len(self._table)
        place = self._places.popitem(last=False)[1] if full else len(self._places)
        self._places[state] = place
        self._table[place] = row
        return row

    def stacked(self, states: Sequence[Hashable]) -> Tensor:
        """The rows of several states (N, V)."""
        places = [self._places.get(state) for state in states]
        if self._table is None or None in places:
            return torch.stack([self(state) for state in states])
        for state in states:
            self._places.move_to_end(state)
        return self._table[torch.tensor(places, device=self._table.device)]


class Fusion:
    """Several scorers with their weights as one scorer.

    Args:
        parts: scorers and weights.
        vocab_size: V. device: where the rows shall be.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Scorer, float]],
        vocab_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.parts = list(parts)
        self.vocab_size = vocab_size
        self.device = torch.device(device)
        self.row = RowCache(self._row)

    def init(self) -> tuple[Hashable, ...]:
        """The state before the first token."""
        return tuple(scorer.init() for scorer, _ in self.parts)

    def step(self, state: tuple[Any, ...], token: int) -> tuple[Hashable, ...]:
        """The state after one more token."""
        return tuple(scorer.step(old, token) for (scorer, _), old in zip(self.parts, state, strict=True))

    def final(self, state: tuple[Any, ...]) -> float:
        """What the end of the transcript adds."""
        ends = ((getattr(scorer, "final", None), weight) for scorer, weight in self.parts)
        return sum(
            weight * float(end(old))
            for (end, weight), old in zip(ends, state, strict=True)
            if end is not None
        )

    def _row(self, state: tuple[Any, ...]) -> Tensor:
        total = torch.zeros(self.vocab_size)
        for (scorer, weight), old in zip(self.parts, state, strict=True):
            row = scorer.score(old)
            if tuple(row.shape) != (self.vocab_size,):
                name = type(scorer).__name__
                raise UserError(
                    f"{name}.score returned shape {tuple(row.shape)}; give ({self.vocab_size},), one for "
                    "each token of the model"
                )
            total += weight * row.to("cpu", torch.float32)
        return total.to(self.device)


class Walk:
    """The states that hypotheses reach within one step of the search, by number; number 0 is the first."""

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion
        self.states: list[tuple[Hashable, ...]] = []
        self._numbers: dict[tuple[Hashable, ...], int] = {}
        self.number(fusion.init())

    def number(self, state: tuple[Hashable, ...]) -> int:
        """The number of a state."""
        found = self._numbers.setdefault(state, len(self.states))
        if found == len(self.states):
            self.states.append(state)
        return found

    def rows(self, numbers: Tensor) -> Tensor:
        """Numbers (R, K) -> what each token would add (R, K, V)."""
        rows = self.fusion.row.stacked([self.states[number] for number in numbers.flatten().tolist()])
        return rows.unflatten(0, tuple(numbers.shape))

    def advance(self, numbers: Tensor, tokens: Tensor, alive: Tensor) -> Tensor:
        """The numbers (R, K) after one more token each; where nothing is ``alive``, 0."""
        moved = [
            self.number(self.fusion.step(self.states[number], token)) if lives else 0
            for number, token, lives in zip(
                numbers.flatten().tolist(), tokens.flatten().tolist(), alive.flatten().tolist(), strict=True
            )
        ]
        return torch.tensor(moved, device=numbers.device).view_as(numbers)
