"""Forward-backward over the transducer's lattice, with explicit gradients, for every loss of the package.

The lattice of an utterance has nodes (t, u): t joint frames done, u tokens said. From a node a blank leads to
(t + 1, u) and the next token to (t, u + 1). A row of nodes is computed at once: within it only tokens are
emitted, so alpha(t, u) = C(u) + log sum over v <= u of exp(in(t, v) - C(v)), with C the running sum of the
row's token scores and ``in`` what came down from the row above. Everything is float64: the running sums
cancel. Backward is forward in the lattice seen from its end, and both are computed as one batch.

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
    last = frame_lens - 1
    turn_t = (last.unsqueeze(1) - torch.arange(frames, device=blank.device)).clamp(min=0)
    turn_u = (token_lens.unsqueeze(1) - torch.arange(nodes, device=blank.device)).clamp(min=0)

    def turned(x: Tensor, columns: Tensor) -> Tensor:
        """The lattice seen from its end, each utterance from its own: (t, u) -> (N - 1 - t, U - u)."""
        return x[rows.view(-1, 1, 1), turn_t.unsqueeze(2), columns.unsqueeze(1)]

    # A blank counts on arrival: from the start it is that of the row before, from the end that of the row.
    alpha_in = torch.nn.functional.pad(blank[:, :-1], (0, 0, 1, 0))
    came = torch.cat((alpha_in, turned(blank, turn_u)))
    said = torch.cat((label, turned(label, (turn_u[:, :-1] - 1).clamp(min=0))))
    alpha, beta = _rows(came, said).chunk(2)
    beta = turned(beta, turn_u)
    total = alpha[rows, last, token_lens] + blank[rows, last, token_lens]
    # What follows when a node is left by its blank; that of the last node leaves the lattice.
    places = torch.arange(nodes, device=blank.device)
    steps = torch.arange(frames, device=blank.device)
    ends = (steps == last.unsqueeze(1)).unsqueeze(2)
    leaves = ends & (places == token_lens.unsqueeze(1)).unsqueeze(1)
    onward = (
        torch.nn.functional.pad(beta[:, 1:], (0, 0, 0, 1)).masked_fill(ends, NOTHING).masked_fill(leaves, 0)
    )
    beyond = (steps > last.unsqueeze(1)).unsqueeze(2) | (places > token_lens.unsqueeze(1)).unsqueeze(1)
    scale = total.view(-1, 1, 1)
    blank_share = (alpha + blank + onward - scale).masked_fill(beyond, NOTHING).exp()
    label_share = alpha[:, :, :-1] + label + beta[:, :, 1:] - scale
    return -total, blank_share, label_share.masked_fill(beyond[:, :, 1:], NOTHING).exp()


def _rows(came: Tensor, said: Tensor) -> Tensor:
    """alpha (B, N, U + 1) from the scores of arriving at a node by a blank (B, N, U + 1) and of leaving it by
    the next token (B, N, U).

    A node depends on none with a higher u, so padding needs no mask. All that is not recursive is done for
    all rows at once: the loop is one addition and one running sum a row.
    """
    climbed = torch.nn.functional.pad(said.cumsum(2), (1, 0))
    came = came - climbed
    came[:, 1:] += climbed[:, :-1]
    row = torch.full_like(came[:, 0], NOTHING)
    row[:, 0] = 0
    found = []
    for arrival in came.unbind(1):
        row = (row + arrival).logcumsumexp(1)
        found.append(row)
    return torch.stack(found, 1) + climbed


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
