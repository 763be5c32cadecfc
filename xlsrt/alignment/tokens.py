"""Forced alignment with a CTC layer: in which frames the tokens of a known transcript stand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from xlsrt.errors import UserError

MOST_CELLS = 2_000_000_000
"""Frames times states that one alignment may have: a byte each."""


@dataclass(frozen=True)
class TokenSpan:
    """Frames ``start`` to ``end`` (not included) of a token, and the mean probability it has there."""

    start: int
    end: int
    prob: float


def align_tokens(log_probs: Tensor, tokens: list[int], blank: int = 0) -> list[TokenSpan]:
    """The most probable CTC path through ``tokens`` (torchaudio's ``forced_align``).

    Args:
        log_probs: (T, V). tokens: U ids without blanks.

    Raises:
        UserError: the tokens do not fit into the frames, or the alignment would not fit into memory.
    """
    from torchaudio.functional import forced_align

    if not tokens:
        return []
    frames = log_probs.shape[0]
    repeats = sum(a == b for a, b in itertools.pairwise(tokens))
    if len(tokens) + repeats > frames:
        raise UserError(f"{len(tokens)} tokens do not fit into {frames} frames")
    if frames * (2 * len(tokens) + 1) > MOST_CELLS:
        raise UserError(f"{frames} frames and {len(tokens)} tokens are too many to align at once: cut it")
    targets = torch.tensor([tokens], dtype=torch.int32)
    path, scores = forced_align(log_probs[None].float().cpu(), targets, blank=blank)
    return _spans(path[0].tolist(), scores[0].exp().tolist(), blank)


def _spans(path: list[int], probs: list[float], blank: int) -> list[TokenSpan]:
    spans: list[TokenSpan] = []
    start = 0
    for frame in range(1, len(path) + 1):
        if frame == len(path) or path[frame] != path[start]:
            if path[start] != blank:
                spans.append(TokenSpan(start, frame, sum(probs[start:frame]) / (frame - start)))
            start = frame
    return spans
