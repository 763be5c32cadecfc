"""The joint network and the grouping of encoder frames in front of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xlsrt.transducer.config import HeadConfig


def group_frames(enc: Tensor, size: int) -> Tensor:
    """(B, T, D) -> (B, ceil(T / size), size * D): groups from frame 0 on, the last filled up with zeros."""
    if size == 1:
        return enc
    batch, frames, width = enc.shape
    enc = nn.functional.pad(enc, (0, 0, 0, -frames % size))
    return enc.reshape(batch, enc.size(1) // size, size * width)


def grouped_lengths(lens: Tensor, size: int) -> Tensor:
    """Joint frames of ``lens`` encoder frames: rounded up."""
    return torch.div(lens + size - 1, size, rounding_mode="floor")


def zero_padding(enc: Tensor, lens: Tensor) -> Tensor:
    """(B, T, D) with zeros from ``lens`` on: a group at an end sees the same alone and in a batch."""
    beyond = torch.arange(enc.size(1), device=enc.device) >= lens.to(enc.device).unsqueeze(1)
    return enc.masked_fill(beyond.unsqueeze(-1), 0)


class Joint(nn.Module):
    """logits = output(tanh(encoder projection + predictor projection)), the additive joint of RNN-T."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.encoder_projection = nn.Linear(
            config.encoder_size * config.output_subsampling, config.joint_size
        )
        self.predictor_projection = nn.Linear(config.predictor_size, config.joint_size, bias=False)
        self.output = nn.Linear(config.joint_size, config.vocab_size)
        self.dropout = config.dropout

    def forward(self, enc: Tensor, pred: Tensor) -> Tensor:
        """Projected frames and projected predictor outputs that broadcast, (..., J) -> logits (..., V)."""
        hidden = torch.tanh(enc + pred)
        if self.training and self.dropout:
            # One draw for all nodes of a frame: drawing for the whole lattice took a tenth of a small
            # model's training step.
            hidden = hidden * nn.functional.dropout(torch.ones_like(enc), self.dropout)
        logits: Tensor = self.output(hidden)
        return logits
