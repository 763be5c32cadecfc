"""What callers may hand to the encoder; all else is refused by name before it can become a wrong result."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xlsrt.errors import UserError

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types of samples that PyTorch can compare."""

LOUDEST = 2.0**32
"""Largest sample taken: room for samples of 32 bits. The square of far larger ones is no float32 any more,
and norms of the features would answer NaN, or the same for all.
"""


def check_wav(wav: Tensor, lens: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor, bool]:
    """Waveform (B, S) and lengths (B,) -> both on ``device``, zeros at padding, and whether there is padding.

    Raises `UserError` on a wrong type, shape, length, or on NaN, infinite and absurdly large samples (padding
    may hold anything).
    """
    if not isinstance(wav, Tensor):
        raise UserError(
            f"the waveform must be a torch tensor (B, S), not {type(wav).__name__}: use torch.as_tensor"
        )
    if wav.dtype not in FLOATS:
        raise UserError(
            f"the waveform must hold floats, not {wav.dtype}: turn 16-bit samples into wav.float() / 32768"
        )
    if wav.dim() != 2:
        raise UserError(
            f"the waveform must have shape (B, S), not {tuple(wav.shape)}: one utterance is wav[None, :]"
        )
    if wav.shape[0] == 0:
        raise UserError("the batch holds no utterance")
    wav = wav.to(device)
    if lens is None:
        lens = torch.full((wav.shape[0],), wav.shape[1], device=device)
        padded = False
    else:
        lens = _as_lengths(lens)
        if lens.dtype.is_floating_point or lens.dtype.is_complex or lens.dtype == torch.bool:
            raise UserError(f"lengths must be whole numbers of samples, not {lens.dtype}")
        if lens.shape != wav.shape[:1]:
            raise UserError(
                f"lengths must have shape ({wav.shape[0]},), one per utterance, not {tuple(lens.shape)}"
            )
        lens = lens.to(device=device, dtype=torch.long)  # of unsigned ones PyTorch tells no minimum
        least, most = int(lens.min()), int(lens.max())
        if least < 0 or most > wav.shape[1]:
            raise UserError(
                f"lengths must lie between 0 and the {wav.shape[1]} samples given, not {lens.tolist()}"
            )
        padded = least < wav.shape[1]
    if padded:
        wav = wav.masked_fill(torch.arange(wav.shape[1], device=device)[None, :] >= lens[:, None], 0.0)
    _check_samples(wav)
    return wav, lens, padded


def _as_lengths(lens: Any) -> Tensor:
    try:
        return torch.as_tensor(lens)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(
            f"lengths must be a tensor (B,) of whole numbers of samples, not {lens!r}: torch.tensor([16000])"
        ) from None


def _check_samples(wav: Tensor) -> None:
    # One pass and one answer; NaN is the least and the most of what holds it.
    if wav.numel() == 0 or float(torch.stack(wav.detach().aminmax()).abs().amax()) <= LOUDEST:
        return
    finite = torch.isfinite(wav)
    bad = ~finite | (wav.double().abs() > LOUDEST)
    row, sample = (int(index) for index in bad.nonzero()[0])
    found = f"utterance {row} of the batch holds {float(wav[row, sample]):g} at sample {sample}"
    if bool(finite.all()):
        raise UserError(f"{found}, beyond {LOUDEST:.0f}, the range of 32 bits: scale samples to -1 ... 1")
    raise UserError(f"{found} (one of {int(bad.sum())} such samples): repair or drop the recording")
