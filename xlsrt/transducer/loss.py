"""The transducer loss over the full lattice."""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.functional import rnnt_loss


def full_loss(
    logits: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int
) -> Tensor:
    """Negative log-likelihood of each transcript (B,), arXiv 1211.3711.

    Args:
        logits: (B, N, U + 1, V), N and U the largest of the lengths. tokens: (B, U), padded with the blank.
        frame_lens: (B,), 1 or more. token_lens: (B,), 0 or more; more tokens than frames are allowed.
    """
    return rnnt_loss(
        logits.float().contiguous(),
        tokens.to(torch.int32).contiguous(),
        frame_lens.to(torch.int32),
        token_lens.to(torch.int32),
        blank=blank_id,
        reduction="none",
    )
