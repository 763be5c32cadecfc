"""Linear layers on few rows, as a streaming step has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = 48
"""Up to so many rows the transposed product wins: 1.2 to 1.4 times at 8 to 32, no more at 64 (AVX-512)."""

LARGE = 1 << 18
"""Weights below so many entries stay in the cache, and there is nothing to gain."""


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """``layer(x)``. On CPU few rows x (B, F, K) are multiplied from the right: W x^T, not x W^T.

    BLAS repacks its second operand for every product. With few rows the weights are far larger than the
    input, and each product reads them from memory: they should be the operand that is read once, in order.
    """
    rows = x.numel() // x.shape[-1]
    if (
        rows > FEW_ROWS
        or rows == 0
        or x.device.type != "cpu"
        or layer.weight.numel() < LARGE
        or torch.is_grad_enabled()
        or x.dtype not in (torch.float32, torch.float64)
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
    ):
        return F.linear(x, layer.weight, layer.bias)
    flat = x.reshape(rows, x.shape[-1])
    y = torch.addmm(layer.bias[:, None], layer.weight, flat.t())
    return y.t().unflatten(0, x.shape[:-1])
