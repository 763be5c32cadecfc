"""What a beam search adds to the transducer's scores of tokens: language models and phrases to favour.

A scorer's state depends on the tokens of a hypothesis alone, so results stay free of cuts and batches, and
equal transcripts agree on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.rows import RowCache


class Scorer(Protocol):
    """Anything that scores the next token. Offer ``final(state) -> float`` too where the end has a score."""

    def init(self) -> Hashable:
        """The state before the first token."""

    def score(self, state: Any) -> Tensor:
        """(V,) natural logarithms to add to each token's score after ``state``; the blank's is not used."""

    def step(self, state: Any, token: int) -> Hashable:
        """The state after one more token."""


class Function:
    """A plain function as a `Scorer`; its state is all the tokens so far.

    Args:
        function: tuple of token ids, without blanks, () at the start -> (V,) natural logarithms of the
            probability of each token as the next: a tensor on any device, an array or a list.
        key: the setting that it was given as, for messages.
    """

    def __init__(self, function: Callable[[tuple[int, ...]], Any], key: str = "lm") -> None:
        self.function = function
        self.name = f"{key} ({getattr(function, '__name__', type(function).__name__)})"

    def init(self) -> tuple[int, ...]:
        """No token yet."""
        return ()

    def score(self, state: tuple[int, ...]) -> Tensor:
        """What the function says.

        Raises:
            UserError: it returns no numbers.
        """
        row = self.function(state)
        try:
            return torch.as_tensor(row, dtype=torch.float32).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.name} returned no row of numbers for the tokens {state}: {error}"
            ) from None

    def step(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """One token more."""
        return (*state, token)


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
            name = scorer.name if isinstance(scorer, Function) else f"{type(scorer).__name__}.score"
            if tuple(row.shape) != (self.vocab_size,):
                raise UserError(
                    f"{name} returned shape {tuple(row.shape)}; give ({self.vocab_size},), one for "
                    "each token of the model"
                )
            if weight:  # at 0 an impossible token would make NaN
                total += weight * row.to("cpu", torch.float32)
                self._check(total, name, weight)
        return total.to(self.device)

    @staticmethod
    def _check(total: Tensor, name: str, weight: float) -> None:
        """Refuse what no search can go on with. -inf may stand: that token is never said."""
        if float(total.max()) < math.inf:  # NaN is the most of what holds it
            return
        wrong = (total.isnan() | (total == math.inf)).nonzero()
        why = " (its scores are taken off, so it must not give -inf)" if weight < 0 else ""
        raise UserError(
            f"{name} returned NaN or infinity for token {int(wrong[0])}; give natural logarithms of "
            f"probabilities, finite or -inf{why}"
        )


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
