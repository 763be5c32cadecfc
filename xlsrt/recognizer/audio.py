"""The check that every waveform passes before it reaches the encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

INTEGER_SCALE = {torch.int16: 2.0**15, torch.int32: 2.0**31}


def as_samples(samples: Any, rate: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """One channel of samples as a float tensor (S,) in [-1, 1].

    Args:
        samples: array, tensor or list (S,); float, or int16/int32, which are scaled. S may be 0.
        rate: its sampling rate in hertz; the recogniser takes 16000 only.

    Raises:
        UserError: another rate, more than one channel, other integer types, NaN or infinity.
    """
    if rate != SAMPLE_RATE:
        raise UserError(
            f"the audio has {rate} samples a second; resample it to {SAMPLE_RATE} first "
            "(`transcribe` takes a file's path too, at any rate)"
        )
    try:
        tensor = torch.as_tensor(samples)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"the audio is no array of samples: {error}") from None
    if tensor.dim() != 1:
        raise UserError(f"the audio has shape {tuple(tensor.shape)}; give one channel, shape (samples,)")
    if tensor.numel() and not tensor.is_floating_point():
        if tensor.dtype not in INTEGER_SCALE:
            raise UserError(f"the audio has type {tensor.dtype}; give floats in [-1, 1], int16 or int32")
        tensor = tensor.double() / INTEGER_SCALE[tensor.dtype]
    tensor = tensor.to(device=device, dtype=dtype)
    if not bool(torch.isfinite(tensor).all()):
        raise UserError("the audio holds NaN or infinite samples; repair it or leave that packet out")
    return tensor
