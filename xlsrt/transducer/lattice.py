"""Forward-backward over the transducer's lattice, with explicit gradients, for every loss of the package.

The lattice of an utterance has nodes (t, u): t joint frames done, u tokens said. From a node a blank leads to
(t + 1, u) and the next token to (t, u + 1). A row of nodes is computed at once: within it only tokens are
emitted, so alpha(t, u) = C(u) + log sum over v <= u of exp(in(t, v) - C(v)), with C the running sum of the
row's token scores and ``in`` what came down from the row above. Everything is float64: the running sums
cancel.

Shapes: B utterances, N joint frames, U tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NOTHING = -1e30
"""Logarithm of a probability of zero; finite, so that differences stay numbers."""


def occupations(
    blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihoods and how much of the probability passes through each arc.

    Args:
        blank: (B, N, U + 1) log-probabilities of the blank at each node; `NOTHING` forbids an arc.
        label: (B, N, U) log-probabilities of the next token; must be finite numbers of moderate size. An arc
            is forbidden by the blanks around it.
        frame_lens: (B,), 1 or more. token_lens: (B,).

    Returns:
        losses (B,), blank occupations (B, N, U + 1), label occupations (B, N, U), all float64. The
        occupations are minus the gradients of the losses.
    """
    blank, label = blank.double(), label.double()
    batch, frames, nodes = blank.shape
    rows = torch.arange(batch, device=blank.device)
    # Tokens behind the end of a transcript lead nowhere, since no blank leads on from there.
    places = torch.arange(nodes, device=blank.device)
    at_end = places == token_lens.unsqueeze(1)
    blank = blank.masked_fill((places > token_lens.unsqueeze(1)).unsqueeze(1), NOTHING)
    climbed = torch.nn.functional.pad(label.cumsum(2), (1, 0))
    alpha = torch.empty_like(blank)
    below = torch.full_like(blank[:, 0], NOTHING)
    below[:, 0] = 0
    for t in range(frames):
        alpha[:, t] = (below - climbed[:, t]).logcumsumexp(1) + climbed[:, t]
        below = alpha[:, t] + blank[:, t]
    last = frame_lens - 1
    total = alpha[rows, last, token_lens] + blank[rows, last, token_lens]
    # beta(t, u): from the node to the end. The blank of the last node leaves the lattice.
    beta = torch.empty_like(blank)
    out = torch.empty_like(blank)  # what follows when a node is left by its blank
    above = torch.full_like(below, NOTHING)
    for t in range(frames - 1, -1, -1):
        ends = torch.where(at_end, blank[:, t], NOTHING)
        out[:, t] = torch.where((last == t).unsqueeze(1), ends, blank[:, t] + above)
        above = (out[:, t] + climbed[:, t]).flip(1).logcumsumexp(1).flip(1) - climbed[:, t]
        beta[:, t] = above
    beyond = (torch.arange(frames, device=blank.device) > last.unsqueeze(1)).unsqueeze(2)
    scale = total.view(-1, 1, 1)
    blank_share = (alpha + out - scale).exp().masked_fill(beyond, 0)
    label_share = (alpha[:, :, :-1] + label + beta[:, :, 1:] - scale).exp().masked_fill(beyond, 0)
    return -total, blank_share, label_share


class _LatticeLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, fastemit: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        losses, blank_share, label_share = occupations(blank, label, frame_lens, token_lens)
        blank_share, label_share = blank_share.to(blank.dtype), label_share.to(label.dtype)
        ctx.save_for_backward(blank_share, label_share)
        ctx.fastemit = fastemit
        ctx.mark_non_differentiable(blank_share, label_share)
        return losses.to(blank.dtype), blank_share, label_share

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        blank_share, label_share = ctx.saved_tensors
        scale = -grad.view(-1, 1, 1)
        return blank_share * scale, label_share * (scale * (1 + ctx.fastemit)), None, None, None


def lattice_loss(
    blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, fastemit: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """`occupations` with gradients of the losses for ``blank`` and ``label``, in their dtype.

    ``fastemit``: lambda of FastEmit (arXiv 2010.11148, equation 9): label gradients times 1 + lambda; the
    losses themselves stay what they are.
    """
    result: tuple[Tensor, Tensor, Tensor] = _LatticeLoss.apply(blank, label, frame_lens, token_lens, fastemit)
    return result


class _ArcScores(torch.autograd.Function):
    """Log-probabilities of blank and token from logits, without keeping a second tensor of their size."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, blank_id: int) -> tuple[Tensor, Tensor]:
        normaliser = logits.logsumexp(-1)
        blank = logits[..., blank_id] - normaliser
        label = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - normaliser
        ctx.save_for_backward(logits, targets, normaliser)
        ctx.blank_id = blank_id
        return blank, label

    @staticmethod
    def backward(ctx: Any, blank_grad: Tensor, label_grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, targets, normaliser = ctx.saved_tensors
        grad = (logits - normaliser.unsqueeze(-1)).exp_()
        grad *= -(blank_grad + label_grad).unsqueeze(-1)
        grad[..., ctx.blank_id] += blank_grad
        grad.scatter_add_(-1, targets.unsqueeze(-1), label_grad.unsqueeze(-1))
        return grad, None, None


def arc_scores(logits: Tensor, targets: Tensor, blank_id: int) -> tuple[Tensor, Tensor]:
    """Logits (..., V), the next token of each node (...) -> log-probabilities of blank and token (...)."""
    result: tuple[Tensor, Tensor] = _ArcScores.apply(logits.float(), targets, blank_id)
    return result


def delay_bonus(frame_lens: Tensor, frames: int, penalty: float) -> Tensor:
    """What the delay penalty (arXiv 2211.00490) adds to token scores, (B, N, 1): + early, - late."""
    places = torch.arange(frames, device=frame_lens.device)
    return (penalty * ((frame_lens.unsqueeze(1) - 1) / 2 - places)).unsqueeze(2)
