"""Self-attention under an `AttentionContext`: one plan per forward, shared by all layers.

Shapes: B utterances, T frames, N chunks of C frames, K keys, H heads, D hidden size.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.context import AttentionContext
from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.linear import Linear
from xlsrt.encoder.normalize import valid_mask

MOST_PIECES = 16
"""Above so many chunks of left context the gathered keys cost more than a plain mask saves."""


class Plan(Protocol):
    """How queries meet keys in one forward."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        """q, k, v (B, T, D) -> (B, T, D)."""


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention.

    q (B, T, D), k and v (B, K, D), mask broadcasting to (B, H, T, K) -> (B, T, D).
    """
    batch, frames, size = q.shape
    q, k, v = (x.contiguous().view(batch, -1, heads, size // heads).transpose(1, 2) for x in (q, k, v))
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad:
        y = _attend_plainly(q, k, v, mask, dropout)
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return y.transpose(1, 2).reshape(batch, frames, size)


def _attend_plainly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """The same with its matrix written out, (B, H, T, head size): training in bfloat16 on a CPU, where
    PyTorch's fused kernel takes three times as long, most of it in its backward.
    """
    # Autocast would copy scores and weights to float32 and back; softmax computes in float32 inside anyway.
    with torch.autocast("cpu", enabled=False):
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(2, 3))
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return torch.matmul(F.dropout(scores.softmax(-1), dropout), v)


def never_blind(mask: Tensor) -> Tensor:
    """Let queries that see nothing (padding, dropped later) see everything: softmax of nothing is NaN."""
    return mask | ~mask.any(-1, keepdim=True)


class DensePlan:
    """One boolean mask over all pairs of frames, or none at all."""

    def __init__(self, context: AttentionContext, lens: Tensor, frames: int, padded: bool) -> None:
        self.mask: Tensor | None = None
        if padded:
            self.mask = valid_mask(lens, frames)[:, None, None, :]
        if not context.is_full and context.chunk_frames < frames:  # type: ignore[operator]
            rule = context.mask(frames, device=lens.device)[None, None]
            self.mask = rule if self.mask is None else self.mask & rule
        if self.mask is not None:
            self.mask = never_blind(self.mask)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        return attend(q, k, v, heads, self.mask, dropout)


class BlockPlan:
    """Chunked attention as a batch of chunks: each attends to its sinks, its left frames and itself.

    Equal to `DensePlan`; cheaper as soon as a chunk's keys are few against all frames.
    """

    def __init__(self, context: AttentionContext, lens: Tensor, frames: int) -> None:
        assert context.chunk_frames is not None and context.left_frames is not None
        self.chunk, self.left = context.chunk_frames, context.left_frames
        self.frames, self.chunks = frames, -(-frames // self.chunk)
        self.before = -(-self.left // self.chunk)
        self.sinks = min(context.sink_frames, frames)
        first = torch.arange(self.chunks, device=lens.device)[:, None] * self.chunk
        window = first + torch.arange(-self.left, self.chunk, device=lens.device)[None, :]
        sink = torch.arange(self.sinks, device=lens.device)[None, :]
        # A sink inside the window is there already: it must count once.
        sink = torch.where(sink < first - self.left, sink, -1)
        keys = torch.cat((sink, window), dim=1)
        seen = context.visible(first, keys) & (keys >= 0)
        mask = seen[None] & (keys[None] < lens[:, None, None])
        self.mask = never_blind(mask).reshape(-1, 1, 1, keys.shape[1])

    @staticmethod
    def pays(context: AttentionContext, frames: int) -> bool:
        """Whether blocks are the cheaper way for so many frames."""
        if context.chunk_frames is None or context.left_frames is None:
            return False
        keys = min(context.sink_frames, frames) + context.left_frames + context.chunk_frames
        return context.left_frames <= MOST_PIECES * context.chunk_frames and 2 * keys < frames

    def _keys(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B * N, K, D), of slices: their gradient is cheap where that of a gather is not."""
        batch, _, size = x.shape
        beyond = self.chunks * self.chunk - self.frames
        blocks = F.pad(x, (0, 0, self.before * self.chunk, beyond)).view(batch, -1, self.chunk, size)
        parts = [blocks[:, i : i + self.chunks] for i in range(self.before + 1)]
        skip = self.before * self.chunk - self.left
        if skip:
            parts[0] = parts[0][:, :, skip:]
        if self.sinks:
            parts.insert(0, x[:, None, : self.sinks].expand(batch, self.chunks, self.sinks, size))
        return torch.cat(parts, dim=2).flatten(0, 1)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        batch, _, size = q.shape
        q = F.pad(q, (0, 0, 0, self.chunks * self.chunk - self.frames)).view(-1, self.chunk, size)
        y = attend(q, self._keys(k), self._keys(v), heads, self.mask, dropout)
        return y.reshape(batch, -1, size)[:, : self.frames]


def make_plan(
    context: AttentionContext, lens: Tensor, frames: int, padded: bool, dropout: float = 0.0
) -> Plan:
    """The cheapest of the equal ways.

    ``lens`` (B,) frames, ``padded``: some are shorter than ``frames``, ``dropout``: of attention.
    """
    if BlockPlan.pays(context, frames):
        return BlockPlan(context, lens, frames)
    dense = partial(DensePlan, context, lens, frames, padded)
    if lens.device.type == "cuda":  # FlexAttention takes a while to import
        from xlsrt.encoder.flex import FlexOrDense, FlexPlan

        if FlexPlan.serves(context, frames, lens.device, dropout):
            return FlexOrDense(partial(FlexPlan, context, lens, frames), dense)
    return dense()


class SelfAttention(nn.Module):
    """Multi-head self-attention; what is visible is the plan's matter."""

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.num_heads, config.attention_dropout
        self.k_proj = Linear(config.hidden_size, config.hidden_size)
        self.v_proj = Linear(config.hidden_size, config.hidden_size)
        self.q_proj = Linear(config.hidden_size, config.hidden_size)
        self.out_proj = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, plan: Plan, train: bool) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        dropout = self.dropout if train else 0.0
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        return self.out_proj(plan.attend(q, k, v, self.heads, dropout))
