"""Attention weights of an utterance, layer by layer: what the softmax gives, which no forward keeps.

Shapes: B utterances, S samples, T frames, H heads, D hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.encoder.attention import DensePlan
from xlsrt.encoder.checks import check_wav
from xlsrt.encoder.encoder import XlsrEncoder
from xlsrt.encoder.keeper import drop_stale
from xlsrt.errors import UserError


class WeighingPlan(DensePlan):
    """Shows each layer's weights (B, H, T, T) to ``see``, in the order of the layers."""

    def __init__(
        self, context: AttentionContext, lens: Tensor, frames: int, see: Callable[[Tensor], None]
    ) -> None:
        super().__init__(context, lens, frames, padded=False)
        self.see = see

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        self.see(weights(q, k, heads, self.mask))
        return super().attend(q, k, v, heads, dropout)


def weights(q: Tensor, k: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """The weights of `attention.attend`: q, k (B, T, D), mask True where visible -> (B, H, T, T)."""
    batch, _, size = q.shape
    q, k = (x.contiguous().view(batch, -1, heads, size // heads).transpose(1, 2) for x in (q, k))
    scores = q @ k.transpose(-1, -2) / math.sqrt(size // heads)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1)


@torch.no_grad()
def attention_weights(
    encoder: XlsrEncoder, wav: Tensor, context: AttentionContext, see: Callable[[Tensor], None]
) -> Tensor:
    """Encode one utterance, wav (S,) -> (T, D), and call ``see`` with the weights (H, T, T) of each layer.

    The time and memory are those of full attention, one layer at a time, whatever the context.

    Raises:
        UserError: the waveform is bad or shorter than one frame.
    """
    batch, lens, _ = check_wav(wav[None], None, encoder.masked_spec_embed.device)
    frames = int(encoder.config.num_frames(batch.shape[1]))
    if frames == 0:
        raise UserError(
            f"{batch.shape[1]} samples are no frame: attention needs 400 samples (25 ms) at least"
        )
    drop_stale(encoder)
    x = encoder.features(encoder.normalize(batch, lens), None)
    lengths = torch.tensor([frames], device=x.device)
    plan = WeighingPlan(context, lengths, frames, lambda layer: see(layer[0]))
    return encoder.encoder(x, plan, context.chunk_frames, False)[0]
