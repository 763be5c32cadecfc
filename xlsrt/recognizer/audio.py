"""The check that every waveform passes before it reaches the encoder."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xlsrt.encoder.checks import LOUDEST as LARGEST
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

log = logging.getLogger(__name__)

INTEGER_SCALE = {torch.int16: 2.0**15, torch.int32: 2.0**31}
LOUDEST = 4.0
"""Floats beyond this are of another scale: the loudest recordings stay near 1."""


def as_samples(
    samples: Any,
    rate: int,
    device: torch.device,
    dtype: torch.dtype,
    loud: Callable[[float], None] | None = None,
) -> Tensor:
    """One channel of samples as a float tensor (S,) in [-1, 1].

    Args:
        samples: array, tensor or list (S,), or one channel as (1, S), torchaudio's way, or (S, 1),
            soundfile's; float, or int16/int32, which are scaled. S may be 0.
        rate: its sampling rate in hertz; the recogniser takes 16000 only.
        loud: called with the largest magnitude where that lies far beyond 1 (`LOUDEST`).

    Raises:
        UserError: another rate, more than one channel, other integer types, NaN, infinity, or values beyond
            32 bits.
    """
    if rate != SAMPLE_RATE:
        raise UserError(
            f"the audio has {rate} samples a second; resample it to {SAMPLE_RATE} first "
            "(`transcribe` takes a file's path too, at any rate)"
        )
    try:
        if isinstance(samples, np.ndarray):  # torch takes neither reversed arrays nor foreign byte orders
            samples = np.require(samples, samples.dtype.newbyteorder("="), ["C", "W"])
        tensor = torch.as_tensor(samples)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"the audio is no array of samples: {error}") from None
    if tensor.dim() == 2 and 1 in tensor.shape:
        tensor = tensor.flatten()
    if tensor.dim() != 1:
        raise UserError(
            f"the audio has shape {tuple(tensor.shape)}; give one channel, shape (samples,): choose one, or "
            "take the mean of all"
        )
    if tensor.numel() and not tensor.is_floating_point():
        if tensor.dtype not in INTEGER_SCALE:
            raise UserError(f"the audio has type {tensor.dtype}; give floats in [-1, 1], int16 or int32")
        tensor = tensor.double() / INTEGER_SCALE[tensor.dtype]
    tensor = tensor.to(dtype=dtype)
    # One pass answers both, before the samples go to a GPU, which would be waited for with each packet.
    peak = float(tensor.abs().max()) if tensor.numel() else 0.0
    if not math.isfinite(peak):
        raise UserError("the audio holds NaN or infinite samples; repair it or leave that packet out")
    if peak > LARGEST:
        raise UserError(f"the audio reaches {peak:.4g}, beyond 32 bits: scale samples to -1 ... 1")
    if peak > LOUDEST and loud is not None:
        loud(peak)
    return tensor.to(device=device)


def warn_of_scale(peak: float, whose: str) -> None:
    """Log a warning of samples far beyond [-1, 1]. peak: the largest magnitude. whose: for the message.

    The encoder's normalisation may make up for it in time, so they are not refused; but a causal one begins
    with what it expects of speech in [-1, 1], and takes a while to forget a scale or an offset like these.
    """
    log.warning(
        "%s reaches %.4g, and samples are expected in [-1, 1]: words may be wrong. Divide 16-bit values "
        "by 32768 (or give them as int16), and take a constant offset off",
        whose,
        peak,
    )
