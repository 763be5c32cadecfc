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
    if size == 1:
        return head.joint.encoder_projection(enc), lens, carry
    enc = zero_padding(enc, lens)
    total = carry.counts + lens
    joined = enc.new_zeros(enc.size(0), enc.size(1) + size - 1, enc.size(2))
    joined[:, : size - 1] = carry.frames
    # Each stream's new frames start where its carried ones end, so a shared offset will not do.
    place = carry.counts.unsqueeze(1) + torch.arange(enc.size(1), device=enc.device)
    joined.scatter_add_(1, place.unsqueeze(-1).expand_as(enc), enc)
    groups = torch.div(total, size, rounding_mode="floor")
    rest = total - groups * size
    place = (groups * size).unsqueeze(1) + torch.arange(size - 1, device=enc.device)
    padded = torch.nn.functional.pad(joined, (0, 0, 0, size))
    kept = padded.gather(1, place.unsqueeze(-1).expand(-1, -1, enc.size(2)))
    longest = int(groups.max()) if groups.numel() else 0
    grouped = group_frames(joined[:, : longest * size], size)
    return head.joint.encoder_projection(grouped), groups, Carry(zero_padding(kept, rest), rest)


def flush(head: TransducerHead, carry: Carry) -> tuple[Tensor, Tensor]:
    """Each stream's last, incomplete group, filled with zeros: joint frames (B, 0 or 1, J), counts (B,)."""
    size = head.config.output_subsampling
    counts = (carry.counts > 0).long()
    frames = carry.frames if size > 1 and bool(counts.any()) else carry.frames[:, :0]
    return head.joint.encoder_projection(group_frames(frames, size)), counts
