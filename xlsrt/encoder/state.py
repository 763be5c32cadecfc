"""`EncoderState`: all that a batch of streams remembers between packets, as named tensors.

Shapes: B streams, W waiting samples, P past frames of the position convolution, M cached frames, L layers, D
hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError

_BATCH_DIM = {
    "seen": 0,
    "sums": 0,
    "samples": 0,
    "waiting": 0,
    "frames": 0,
    "past": 0,
    "positions": 0,
    "keys": 1,
    "values": 1,
}
_GROWING_DIM = {"samples": 1, "positions": 1, "keys": 2, "values": 2}


@dataclass(frozen=True)
class EncoderState:
    """The memory of B streams of any age. With a bounded context its size does not depend on the age.

    context: who sees whom, for every stream of the batch
    model: fingerprint of the encoder that made it
    seen (B,): samples received since the start of the stream
    sums (B, 2) float64: their sum and sum of squares, for the causal normalisation
    samples (B, W): normalised samples whose chunk is not complete yet, left-aligned
    waiting (B,): how many of those are real, at most 320 * chunk + 79
    frames (B,): encoder frames given out so far, a multiple of the chunk
    past (B, P, D): the last projected frames, for the position convolution; zeros before the start
    keys, values (L, B, M, D): cached attention keys and values of the frames at ``positions``
    positions (B, M): absolute frame of each cached key, -1 = empty; M = sinks + left, or grows if all the
        past is kept
    """

    context: AttentionContext
    model: str
    seen: Tensor
    sums: Tensor
    samples: Tensor
    waiting: Tensor
    frames: Tensor
    past: Tensor
    positions: Tensor
    keys: Tensor
    values: Tensor

    @property
    def batch_size(self) -> int:
        """B."""
        return self.seen.shape[0]

    @property
    def state_bytes(self) -> int:
        """Memory of all tensors, in bytes."""
        return sum(t.numel() * t.element_size() for t in (getattr(self, name) for name in _BATCH_DIM))

    def with_tensors(self, **tensors: Tensor) -> EncoderState:
        """A copy with some tensors replaced."""
        return replace(self, **tensors)  # type: ignore[arg-type]

    def select(self, streams: Sequence[int] | Tensor) -> EncoderState:
        """The state of some streams of the batch, in the order given."""
        index = _checked_index(streams, self.batch_size).to(self.seen.device)
        picked = {name: getattr(self, name).index_select(dim, index) for name, dim in _BATCH_DIM.items()}
        return self.with_tensors(**picked)._trimmed()

    def unstack(self) -> list[EncoderState]:
        """One state of batch size 1 per stream."""
        return [self.select([stream]) for stream in range(self.batch_size)]

    @staticmethod
    def stack(states: Iterable[EncoderState]) -> EncoderState:
        """One batch of the streams of several states, which may be of different ages.

        The inverse of `unstack`. Raises `UserError` where they cannot share one.
        """
        if not isinstance(states, Iterable):
            raise UserError(f"stack takes states in a list, [one, other], not {type(states).__name__}")
        states = list(states)
        if not states:
            raise UserError("stack needs at least one state")
        for state in states:
            if not isinstance(state, EncoderState):
                raise UserError(f"stack takes states that init_state or step gave, not {state!r}")
        first = states[0]
        for state in states[1:]:
            if state.context != first.context:
                raise UserError(
                    f"states of different contexts cannot share a batch: {first.context} and {state.context}"
                )
            if state.model != first.model:
                raise UserError("states of different models cannot share a batch")
            if (state.keys.dtype, state.keys.device) != (first.keys.dtype, first.keys.device):
                raise UserError(
                    f"states of different types or devices cannot share a batch: {first.keys.dtype} on "
                    f"{first.keys.device} and {state.keys.dtype} on {state.keys.device}"
                )
        merged = {}
        for name, dim in _BATCH_DIM.items():
            merged[name] = torch.cat(widen([getattr(state, name) for state in states], name), dim=dim)
        return first.with_tensors(**merged)

    def reset(self, streams: Sequence[int] | Tensor) -> EncoderState:
        """The same batch with some streams back at their start, as `XlsrEncoder.init_state` made them."""
        index = _checked_index(streams, self.batch_size).to(self.seen.device)
        fresh = {}
        for name, dim in _BATCH_DIM.items():
            empty = -1 if name == "positions" else 0
            fresh[name] = getattr(self, name).index_fill(dim, index, empty)
        return self.with_tensors(**fresh)

    def to(self, device: torch.device | str) -> EncoderState:
        """The same state on another device. Raises `UserError` where there is none of that name."""
        device = _checked_device(device)
        return self.with_tensors(**{name: getattr(self, name).to(device) for name in _BATCH_DIM})

    def _trimmed(self) -> EncoderState:
        """Without the columns that only streams no longer in the batch had filled."""
        width = int(self.waiting.max())
        state = replace(self, samples=self.samples[:, :width].contiguous())
        if self.context.cache_frames is not None:
            return state
        filled = int((self.positions >= 0).sum(1).max())
        return replace(
            state,
            positions=self.positions[:, :filled].contiguous(),
            keys=self.keys[:, :, :filled].contiguous(),
            values=self.values[:, :, :filled].contiguous(),
        )


def widen(tensors: list[Tensor], name: str) -> list[Tensor]:
    """The values of one field in several states, brought to one width by empty places."""
    if name not in _GROWING_DIM:
        return tensors
    dim, fill = _GROWING_DIM[name], -1 if name == "positions" else 0
    width = max(tensor.shape[dim] for tensor in tensors)
    ahead = [0, 0] * (tensors[0].dim() - 1 - dim)
    return [F.pad(tensor, [*ahead, 0, width - tensor.shape[dim]], value=fill) for tensor in tensors]


def _checked_index(streams: Sequence[int] | Tensor, size: int) -> Tensor:
    try:
        index = torch.as_tensor(streams)
    except (TypeError, ValueError, RuntimeError):  # torch's answers to what is no array
        index = torch.zeros(0)
    if index.dim() != 1 or index.numel() == 0 or index.is_floating_point() or index.dtype == torch.bool:
        raise UserError(f"streams are picked by a list of their numbers, at least one, not {streams!r}")
    if int(index.min()) < 0 or int(index.max()) >= size:
        raise UserError(f"streams are numbered 0 to {size - 1} in this state; got {index.tolist()}")
    return index.long()


def _checked_device(device: torch.device | str) -> torch.device:
    if isinstance(device, torch.dtype):
        raise UserError(
            f"a state goes to a device, not to {device}: it keeps the types it began with; to stream in "
            "another, use encoder.to(dtype) and begin anew with init_state"
        )
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (TypeError, AssertionError, RuntimeError) as error:  # a PyTorch without CUDA asserts
        first = str(error).partition("\n")[0]
        raise UserError(
            f"the state cannot go to {device!r} ({first}): give a device of this machine"
        ) from None
    return found
