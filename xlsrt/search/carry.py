"""Encoder frames in, joint frames out, for streams: whole groups only, the rest is carried over."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xlsrt.transducer import TransducerHead
from xlsrt.transducer.joint import group_frames, zero_padding


@dataclass(frozen=True)
class Carry:
    """Frames of each stream that do not fill a group yet.

    Attributes:
        frames: (B, R, D), R below the output subsampling; zeros from ``counts`` on.
        counts: (B,) valid frames.
    """

    frames: Tensor
    counts: Tensor

    @classmethod
    def empty(cls, head: TransducerHead, batch_size: int) -> Carry:
        """Nothing carried. R is fixed so that states of any age are joined by concatenation."""
        weight = head.joint.output.weight
        rest = head.config.output_subsampling - 1
        return cls(
            weight.new_zeros(batch_size, rest, head.config.encoder_size),
            torch.zeros(batch_size, dtype=torch.long, device=weight.device),
        )

    def rows(self, index: Tensor) -> Carry:
        """The carries of the streams at ``index``."""
        return Carry(self.frames[index], self.counts[index])


def join_carries(carries: list[Carry]) -> Carry:
    """Carries one below another, as one batch."""
    return Carry(torch.cat([c.frames for c in carries]), torch.cat([c.counts for c in carries]))


def push(head: TransducerHead, enc: Tensor, lens: Tensor, carry: Carry) -> tuple[Tensor, Tensor, Carry]:
    """New frames (B, T, D), lens (B,) -> projected joint frames (B, N, J), counts (B,), the new carry."""
    size = head.config.output_subsampling
    lens = torch.as_tensor(lens, device=enc.device).long()
    if size == 1 and bool((lens == enc.size(1)).all()):
        return head.joint.encoder_projection(enc), lens, carry
    total = carry.counts + lens
    groups = torch.div(total, size, rounding_mode="floor")
    longest = int(groups.max()) if groups.numel() else 0
    frames = torch.cat([carry.frames, enc], dim=1)
    stream, number = (torch.arange(longest, device=enc.device) < groups.unsqueeze(1)).nonzero().unbind(1)
    # Groups of padding alone are never touched: between recordings of other lengths they were two of three.
    found = frames[stream.unsqueeze(1), _columns(number * size, size, carry.counts[stream], size)]
    joint = head.joint.encoder_projection(found.flatten(1))
    projected = joint.new_zeros(len(lens), longest, joint.size(1))
    projected[stream, number] = joint
    rest = total - groups * size
    columns = _columns(groups * size, size - 1, carry.counts, size).clamp(max=frames.size(1) - 1)
    kept = frames.gather(1, columns.unsqueeze(2).expand(-1, -1, enc.size(2)))
    return projected, groups, Carry(zero_padding(kept, rest), rest)


def _columns(first: Tensor, count: int, carried: Tensor, size: int) -> Tensor:
    """Where the frames from ``first`` (N,) on stand behind ``size`` - 1 places of which the first ``carried``
    (N,) are in use: (N, count).
    """
    frame = first.unsqueeze(1) + torch.arange(count, device=first.device)
    carried = carried.unsqueeze(1)
    return torch.where(frame < carried, frame, frame + (size - 1 - carried))


def flush(head: TransducerHead, carry: Carry) -> tuple[Tensor, Tensor]:
    """Each stream's last, incomplete group, filled with zeros: joint frames (B, 0 or 1, J), counts (B,)."""
    size = head.config.output_subsampling
    counts = (carry.counts > 0).long()
    frames = carry.frames if size > 1 and bool(counts.any()) else carry.frames[:, :0]
    return head.joint.encoder_projection(group_frames(frames, size)), counts
