"""A grouped convolution whose gradients are fast on CPUs.

The position convolution has few channels a group and a long kernel. oneDNN runs it well forward, but its
backward took 85 of the 340 ms of a small encoder's training step (24 s of speech, one thread, bfloat16). Here
the gradient of the input is one more forward convolution, and that of the kernel one product of matrices per
group: together 19 ms.

Shapes: B rows, C channels, G groups of I = C / G channels, K taps, L frames in, T = L - K + 1 frames out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xlsrt.encoder.strided_conv import plain_conv

ROWS = 128
"""Rows that a product of matrices should have to be fast: so many output channels times shifts."""


def grouped_conv1d(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """``F.conv1d(x, weight, bias, groups=groups)`` with as many channels out as in.

    x (B, C, L), weight (C, I, K), bias (C,) -> (B, C, T), under autocast in its dtype.
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return plain_conv(x, weight, bias, (1,), groups)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    y: Tensor = _GroupedConv.apply(
        x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype), groups
    )
    return y


class _GroupedConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.groups = groups
        return F.conv1d(x, weight, bias, groups=groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        input_wanted, weight_wanted, bias_wanted, _ = ctx.needs_input_grad
        return (
            _input_gradient(grad, weight, ctx.groups) if input_wanted else None,
            _weight_gradient(grad, x, ctx.groups) if weight_wanted else None,
            grad.sum((0, 2)) if bias_wanted else None,
            None,
        )


def _input_gradient(grad: Tensor, weight: Tensor, groups: int) -> Tensor:
    """(B, C, T), (C, I, K) -> (B, C, L): the kernel back to front, its channels in and out exchanged."""
    channels, width, taps = weight.shape
    turned = weight.view(groups, width, width, taps).transpose(1, 2).flip(3).reshape(channels, width, taps)
    return F.conv1d(F.pad(grad, (taps - 1, taps - 1)), turned, groups=groups)


def _weight_gradient(grad: Tensor, x: Tensor, groups: int) -> Tensor:
    """(B, C, T), (B, C, L) -> (C, I, K): the sum over t of grad(t) x(t + k).

    With t = n S + s, a product over n alone gives for each s the sums with x(n S + s'), of which those with
    s' = s + k are wanted: S times fewer rows of x are laid out than without, for S times more columns.
    """
    batch, channels, frames = grad.shape
    width, taps = channels // groups, x.shape[2] - frames + 1
    shifts = max(1, ROWS // width)
    beyond = -frames % shifts
    windows = F.pad(x, (0, beyond)).view(batch, groups, width, -1).unfold(3, shifts + taps - 1, shifts)
    windows = windows.permute(1, 0, 3, 2, 4).reshape(groups, -1, width * (shifts + taps - 1))
    grad = F.pad(grad, (0, beyond)).view(batch, groups, width, -1, shifts)
    grad = grad.permute(1, 4, 2, 0, 3).reshape(groups, shifts * width, -1)
    sums = torch.bmm(grad, windows).view(groups, shifts, width, width, -1)
    wide = torch.promote_types(sums.dtype, torch.float32)
    total = torch.zeros(groups, width, width, taps, dtype=wide)
    for shift in range(shifts):
        total += sums[:, shift, :, :, shift : shift + taps]
    return total.view(channels, width, taps).to(x.dtype)
