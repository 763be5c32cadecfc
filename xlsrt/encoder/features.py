"""The convolutional feature extractor and its projection (wav2vec 2.0, arXiv 2006.11477 section 2).

Shapes: B utterances, S samples, T frames of 20 ms, C conv channels, D hidden size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.linear import Linear
from xlsrt.encoder.normalize import valid_mask
from xlsrt.encoder.strided_conv import strided_conv1d


class ConvLayer(nn.Module):
    """Convolution over time, norm, GELU.

    Frames lie channels-last, so that the layer norm needs no transpose.
    """

    def __init__(self, config: XlsrConfig, index: int) -> None:
        super().__init__()
        size_in = config.conv_dim[index - 1] if index else 1
        size, self.kernel, self.stride = (
            config.conv_dim[index],
            config.conv_kernel[index],
            config.conv_stride[index],
        )
        self.conv = nn.Conv1d(size_in, size, self.kernel, stride=self.stride, bias=config.conv_bias)
        nn.init.kaiming_normal_(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.uniform_(
                self.conv.bias, -((size_in * self.kernel) ** -0.5), (size_in * self.kernel) ** -0.5
            )
        self.layer_norm: nn.Module | None = None
        if config.feat_extract_norm == "layer":
            self.layer_norm = nn.LayerNorm(size)
        elif index == 0:
            self.layer_norm = nn.GroupNorm(size, size)

    def forward(self, x: Tensor, lens: Tensor | None) -> Tensor:
        """(B, T_in, C_in) -> (B, T_out, C_out).

        ``lens`` (B,): valid output frames, for the group norm alone.
        """
        x = strided_conv1d(x, self.conv.weight, self.conv.bias, self.stride)
        if isinstance(self.layer_norm, nn.GroupNorm):
            x = _norm_over_time(x, lens, self.layer_norm)
        elif self.layer_norm is not None:
            x = self.layer_norm(x)
        return F.gelu(x)


def _norm_over_time(x: Tensor, lens: Tensor | None, norm: nn.GroupNorm) -> Tensor:
    """One group per channel, statistics over valid frames only: padding must not change an utterance."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if lens is None:
        mean, variance = wide.mean(1, keepdim=True), wide.var(1, keepdim=True, unbiased=False)
    else:
        valid = valid_mask(lens, x.shape[1])[:, :, None]
        count = lens.clamp(min=1)[:, None, None]
        mean = torch.where(valid, wide, 0.0).sum(1, keepdim=True) / count
        variance = torch.where(valid, wide - mean, 0.0).square().sum(1, keepdim=True) / count
    wide = (wide - mean) * (variance + norm.eps).rsqrt() * norm.weight + norm.bias
    return wide.to(x.dtype)


class FeatureExtractor(nn.Module):
    """Seven convolutions from 16 kHz samples to 50 Hz frames."""

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        self.needs_lens = config.feat_extract_norm == "group"
        self.conv_layers = nn.ModuleList(ConvLayer(config, index) for index in range(len(config.conv_dim)))

    def forward(self, wav: Tensor, lens: Tensor | None = None) -> Tensor:
        """(B, S) with S >= 400 -> (B, T, C). ``lens`` (B,) samples; None: no padding."""
        x = wav.unsqueeze(2)
        for layer in self.conv_layers:
            assert isinstance(layer, ConvLayer)
            if self.needs_lens and lens is not None:
                lens = ((lens - layer.kernel) // layer.stride + 1).clamp(min=0)
            x = layer(x, lens if self.needs_lens else None)
        return x


class FeatureProjection(nn.Module):
    """Layer norm and projection to the hidden size."""

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        size = config.conv_dim[-1]
        self.layer_norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.projection = Linear(size, config.hidden_size)
        nn.init.uniform_(self.projection.weight, -(size**-0.5), size**-0.5)
        nn.init.uniform_(self.projection.bias, -(size**-0.5), size**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, D)."""
        return self.projection(self.layer_norm(x))
