"""The rows that language models and phrases add to a search's scores, kept for the next time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

CACHE_BYTES = 64 * 2**20
CACHE_ROWS = 8192
"""Of 64 streams with beam 8, each frame asks for a few hundred."""


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
            with torch.inference_mode(False):  # or nothing outside that mode could write into it later
                self._table = torch.empty(count, len(row), dtype=row.dtype, device=row.device)
        # The row may have been computed from others of this table.
        full = len(self._places) == len(self._table)
        place = self._places.popitem(last=False)[1] if full else len(self._places)
        self._places[state] = place
        self._table[place] = row
        return row

    def stacked(self, states: Sequence[Hashable]) -> Tensor:
        """The rows of several states (N, V)."""
        for state in states:  # those that are there first, or the new ones would take their places
            if state in self._places:
                self._places.move_to_end(state)
        for state in states:
            if state not in self._places:
                self(state)
        places = [self._places.get(state) for state in states]
        if self._table is None or None in places:  # more than the table holds
            return torch.stack([self(state) for state in states])
        return self._table[torch.tensor(places, device=self._table.device)]
