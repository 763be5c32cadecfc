"""What callers may hand to the encoder; all else is refused by name before it can become a wrong result."""

from __future__ import annotations

import torch
from torch import Tensor

from xlsrt.errors import UserError


def check_wav(wav: Tensor, lens: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor, bool]:
    """Waveform (B, S) and lengths (B,) -> both on ``device``, zeros at padding, and whether there is padding.

    Raises `UserError` on a wrong type, shape, length, or on NaN and infinite samples (padding may hold
    anything).
    """
    if not isinstance(wav, Tensor):
        raise UserError(
            f"the waveform must be a torch tensor (B, S), not {type(wav).__name__}: use torch.as_tensor"
        )
    if not wav.is_floating_point():
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
        lens = torch.as_tensor(lens)
        if lens.dtype.is_floating_point or lens.dtype.is_complex or lens.dtype == torch.bool:
            raise UserError(f"lengths must be whole numbers of samples, not {lens.dtype}")
        if lens.shape != wav.shape[:1]:
            raise UserError(
                f"lengths must have shape ({wav.shape[0]},), one per utterance, not {tuple(lens.shape)}"
            )
        least, most = int(lens.min()), int(lens.max())
        if least < 0 or most > wav.shape[1]:
            raise UserError(
                f"lengths must lie between 0 and the {wav.shape[1]} samples given, not {lens.tolist()}"
            )
        padded = least < wav.shape[1]
        lens = lens.to(device=device, dtype=torch.long)
    if padded:
        wav = wav.masked_fill(torch.arange(wav.shape[1], device=device)[None, :] >= lens[:, None], 0.0)
    _check_finite(wav)
    return wav, lens, padded


def _check_finite(wav: Tensor) -> None:
    # A sum is finite iff every sample is, short of overflow: a tenth of the cost of asking each one.
    if bool(torch.isfinite(wav.sum())):
        return
    bad = ~torch.isfinite(wav)
    if not bool(bad.any()):
        return
    row, sample = (int(index) for index in bad.nonzero()[0])
    raise UserError(
        f"utterance {row} of the batch holds {float(wav[row, sample])} at sample {sample} (one of "
        f"{int(bad.sum())} such samples): repair or drop the recording"
    )
