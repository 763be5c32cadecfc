"""A batch of encoder frames fed to a search in random pieces."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from hypothesis import strategies as st


def states_in_pieces(data, search, enc, lens: list[int]) -> Iterator:
    """The state after each piece of enc (B, T, D), lens (B,); batches fall apart and are stacked again."""
    state, done = search.init_state(len(lens)), [0] * len(lens)
    yield state
    while any(d < n for d, n in zip(done, lens, strict=True)):
        sizes = [min(data.draw(st.integers(0, 7)), n - d) for d, n in zip(done, lens, strict=True)]
        packet = torch.full((len(lens), max(sizes), enc.shape[2]), 1e3)  # padding must not matter
        for row, (start, size) in enumerate(zip(done, sizes, strict=True)):
            packet[row, :size] = enc[row, start : start + size]
        state = search.step(packet, torch.tensor(sizes), state)
        done = [d + s for d, s in zip(done, sizes, strict=True)]
        if data.draw(st.booleans()):
            state = state.stack(state.unstack())
        yield state
