"""The feature extractor's convolutions as products of matrices: on CPUs.

oneDNN compiles a convolution for each new length of its input, and nearly every batch and every recording has
its own. Of 24 s of speech in bfloat16 on one thread a small extractor took 170 ms at a new length and 20 at
a known one, 300 and 56 with gradients. As products of matrices it is 32 and 24 ms, 88 and 63 with gradients;
in streaming, whose steps have one length, they are no slower.

Shapes: B rows, L frames in, C channels in, D channels out, K taps, T = (L - K) // stride + 1 frames out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def strided_conv1d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """x (B, L, C), weight (D, C, K), bias (D,) -> (B, T, D), both channels-last. K must not exceed L."""
    if x.device.type != "cpu":
        # A 2-d convolution of height 1 is the one that cuDNN runs channels-last.
        kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        y = plain_conv(x.transpose(1, 2).unsqueeze(2), kernel, bias, (1, stride))
        return y.squeeze(2).transpose(1, 2)
    if torch.is_grad_enabled():
        return _sum_of_products(x, weight, bias, stride)
    return _product(x, weight, bias, stride)


def plain_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], groups: int = 1
) -> Tensor:
    """``F.conv1d``, ``F.conv2d`` without padding: x (B, C, ...), weight (D, C / groups, ...) -> (B, D, ...).

    Without gradients float32 stays float32 on CUDA: by default cuDNN may round what it multiplies to TF32, of
    ten bits, and chunks would differ from whole utterances in the third digit.
    """
    if takes_tf32(x):
        backend, zeros, ones = torch.backends.cudnn, (0,) * len(stride), (1,) * len(stride)
        deterministic = backend.deterministic or torch.are_deterministic_algorithms_enabled()
        settings = (backend.benchmark, deterministic, backend.enabled)
        # Unlike the switch in torch.backends this is no matter of the whole process.
        return torch._convolution(
            x, weight, bias, stride, zeros, ones, False, zeros, groups, *settings, allow_tf32=False
        )
    conv = F.conv1d if len(stride) == 1 else F.conv2d
    return conv(x, weight, bias, stride=stride, groups=groups)


def takes_tf32(x: Tensor) -> bool:
    """Whether cuDNN would be free to round this input, and nobody learns by it."""
    return (
        x.device.type == "cuda"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cuda")
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """One product, of all windows laid out."""
    batch, length, channels = x.shape
    taps = weight.shape[2]
    frames = (length - taps) // stride + 1
    windows = x.contiguous().as_strided(
        (batch, frames, taps * channels), (length * channels, stride * channels, 1)
    )
    return F.linear(windows, weight.transpose(1, 2).flatten(1), bias)


def _sum_of_products(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """One product for each ``stride`` taps: those windows do not overlap, so their gradient is a copy."""
    batch, length, channels = x.shape
    taps = weight.shape[2]
    frames = (length - taps) // stride + 1
    parts = -(-taps // stride)
    rows = frames + parts - 1
    x = F.pad(x, (0, 0, 0, max(0, rows * stride - length)))[:, : rows * stride]
    x = x.reshape(batch, rows, stride * channels)
    y = None
    for part in range(parts):
        some = weight[:, :, part * stride : (part + 1) * stride].transpose(1, 2).flatten(1)
        product = F.linear(x[:, part : part + frames, : some.shape[1]], some, None if part else bias)
        y = product if y is None else y + product
    assert y is not None
    return y
