"""Linear layers that keep their weights in the order in which oneDNN multiplies them: recognition on CPUs.

A streaming step has few rows: plain BLAS repacks the weights, which are far larger than the input, for every
product. Kept packed they are read once, in order. On AMD CPUs, where MKL does without AVX-512, that is 2.4
times as fast at any number of rows (measured on one thread, float32; bfloat16 1.1 to 1.7 times).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.encoder.keeper import Keeper

LEAST = 1 << 15
"""Weights of fewer entries are not worth a copy."""

ROWS = 32
"""Rows for which oneDNN chooses the order; any number may follow."""


class Linear(Keeper, nn.Linear):
    """``nn.Linear``, faster where nothing is learnt on a CPU, at the price of a second copy of the weights.

    The copy is made by the first product without gradients in eval mode and again after the weights have
    changed; see `Keeper` for what PyTorch does not count.
    """

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__(size_in, size_out)
        self.may_pack = True

    def sources(self) -> tuple[Tensor, ...]:
        """The weight alone: the bias is read as it is."""
        return (self.weight,)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, D)."""
        if (
            not self.may_keep()
            or not self.may_pack
            or x.device.type != "cpu"
            or x.dtype != self.weight.dtype
            or x.numel() == 0
            or self.weight.numel() < LEAST
            or torch.is_autocast_enabled("cpu")
            or not can_pack(x.dtype)
        ):
            return F.linear(x, self.weight, self.bias)
        return _product(x, self.keep(lambda: _pack(self.weight.detach())), self.bias)


def set_packing(module: nn.Module, on: bool) -> None:
    """Let the linear layers of a module keep packed copies, or drop the copies."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            layer.may_pack = on
            if not on:
                layer._kept = None


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)


def _product(x: Tensor, packed: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


@lru_cache(maxsize=4)
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch multiplies packed weights on this CPU: its inductor does, by names not public."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    with torch.inference_mode(False), torch.no_grad():
        x = torch.linspace(-1, 1, 8 * 64).view(8, 64).to(dtype)
        weight, bias = x.flip(0).repeat(4, 1).contiguous(), x[0, :32].contiguous()
        try:
            if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
                return False
            found = _product(x, _pack(weight), bias)
        except (AttributeError, NotImplementedError, RuntimeError):
            return False
        return torch.allclose(found.float(), F.linear(x, weight, bias).float(), rtol=1e-2, atol=1e-2)
