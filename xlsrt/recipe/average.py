"""Average the weights of several checkpoints of one training. Needs torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.tensor_files import read_model, write_torch


def average_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating-point tensor, computed in float64; other tensors (counters) are those of the
    last.

    Raises:
        UserError: there is nothing to average, or the names or shapes differ.
    """
    if not states:
        raise UserError("no checkpoint to average")
    first = states[0]
    for number, state in enumerate(states[1:], 2):
        if state.keys() != first.keys():
            raise UserError(f"checkpoint {number} of {len(states)} holds other parameters than the first")
        if wrong := [name for name in first if state[name].shape != first[name].shape]:
            raise UserError(f"checkpoint {number} of {len(states)}: other shapes for {', '.join(wrong[:5])}")
    averaged = {}
    for name, tensor in first.items():
        if tensor.is_floating_point():
            total = sum(state[name].double() for state in states)
            assert isinstance(total, Tensor)
            averaged[name] = (total / len(states)).to(tensor.dtype)
        else:
            averaged[name] = states[-1][name]
    return averaged


def average_files(paths: Sequence[Path], output: Path) -> None:
    """Average model files (flat state dicts) into ``output``, which appears whole or not at all."""
    states = [read_model(path, "delete it, so that others are averaged") for path in paths]
    write_torch(output, average_states(states))
