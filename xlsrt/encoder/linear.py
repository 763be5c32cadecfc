"""Linear layers that keep their weights in the order in which oneDNN multiplies them: recognition on CPUs.

A streaming step has few rows: plain BLAS repacks the weights, which are far larger than the input, for every
product. Kept packed they are read once, in order. On AMD CPUs, where MKL does without AVX-512, that is 2.4
times as fast at any number of rows (measured on one thread, float32; bfloat16 1.1 to 1.7 times).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 1 << 15
"""Weights of fewer entries are not worth a copy."""

ROWS = 32
"""Rows for which oneDNN chooses the order; any number may follow."""


class Linear(nn.Linear):
    """``nn.Linear``, faster where nothing is learnt on a CPU, at the price of a second copy of the weights.

    The copy is made by the first product without gradients in eval mode and again after the weights have
    changed. It does not outlive a call of train() or eval(): torch's fused optimisers change weights without
    counting a version, so a copy kept from one validation to the next would be of weights long gone.
    """

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__(size_in, size_out)
        self.may_pack = True
        self._packed: tuple[Any, Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}

    def train(self, mode: bool = True) -> Linear:
        """Switch between train and eval mode."""
        self._packed = None
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, D)."""
        if (
            self.training
            or torch.is_grad_enabled()
            or not self.may_pack
            or x.device.type != "cpu"
            or x.dtype != self.weight.dtype
            or x.numel() == 0
            or self.weight.numel() < LEAST
            or self.weight.is_inference()  # those count no versions
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
            or not can_pack(x.dtype)
        ):
            return F.linear(x, self.weight, self.bias)
        return _product(x, self._weights(), self.bias)

    def _weights(self) -> Tensor:
        weight = self.weight
        stamp = (weight._version, weight.data_ptr(), weight.dtype, weight.device)
        if self._packed is None or self._packed[0] != stamp:
            # A tensor made in inference mode would be of no use to a later forward outside of it.
            with torch.inference_mode(False), torch.no_grad():
                self._packed = (stamp, _pack(weight.detach()))
        return self._packed[1]


def set_packing(module: nn.Module, on: bool) -> None:
    """Let the linear layers of a module keep packed copies, or drop the copies."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            layer.may_pack = on
            if not on:
                layer._packed = None


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
