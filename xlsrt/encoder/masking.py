"""Time and channel masking of wav2vec 2.0 fine-tuning (arXiv 2006.11477, section 4.3 and appendix B).

Shapes: B utterances, T frames, D channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.normalize import valid_mask


def draw_spans(
    lens: Tensor, size: int, prob: float, length: int, least: int = 0, draw: torch.Generator | None = None
) -> Tensor:
    """(B, size) boolean with spans of ``length`` that, were they disjoint, would cover ``prob`` of each row.

    lens (B,): where each row ends; no span passes it, rows shorter than one span stay clear. The number of
    spans is prob * len / length rounded at random, at least ``least``; their starts are distinct and uniform,
    overlaps happen. ``draw``: of the CPU, for spans that do not depend on the device.
    """

    def uniform(*shape: int) -> Tensor:
        device = lens.device if draw is None else "cpu"
        return torch.rand(*shape, generator=draw, device=device).to(lens.device)

    wanted = (prob * lens / length + uniform(*lens.shape)).floor().long()
    starts = (lens - length + 1).clamp(min=0)
    wanted = torch.minimum(wanted.clamp(min=least), torch.minimum(starts, lens // length))
    score = uniform(lens.shape[0], size).masked_fill(~valid_mask(starts, size), -1.0)
    rank = score.argsort(dim=1, descending=True).argsort(dim=1)
    chosen = (rank < wanted[:, None]).float()
    # A frame is masked if a span started at it or at one of the length - 1 frames before.
    return F.max_pool1d(F.pad(chosen, (length - 1, 0))[:, None], length, stride=1)[:, 0] > 0


def mask_features(x: Tensor, lens: Tensor, embedding: Tensor, config: XlsrConfig) -> Tensor:
    """Replace spans of frames by the mask embedding (D,), zero spans of channels.

    x (B, T, D), lens (B,) frames.
    """
    if config.mask_time_prob > 0:
        spans = draw_spans(lens, x.shape[1], config.mask_time_prob, config.mask_time_length, least=2)
        x = torch.where(spans[:, :, None], embedding.to(x.dtype), x)
    if config.mask_channel_prob > 0:
        sizes = torch.full_like(lens, x.shape[2])
        spans = draw_spans(sizes, x.shape[2], config.mask_channel_prob, config.mask_channel_length)
        x = x.masked_fill(spans[:, None, :], 0.0)
    return x
