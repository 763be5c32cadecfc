"""The transducer losses: over the full lattice, and over a band of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.functional import rnnt_loss

from xlsrt.transducer.joint import Joint
from xlsrt.transducer.lattice import NOTHING, arc_scores, delay_bonus, lattice_loss

FLOOR = 1e-30
"""Keeps the simple joint's normaliser a number where frame and predictor rule out each other's tokens. In
float16 it would be 0."""

MOST_LOGITS = 2**31
"""From so many on torchaudio's CUDA kernel, which counts in 32 bits, reads and writes elsewhere."""


def full_loss(
    logits: Tensor,
    tokens: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    blank_id: int,
    fastemit: float = 0.0,
    delay_penalty: float = 0.0,
) -> Tensor:
    """Negative log-likelihood of each transcript (B,), arXiv 1211.3711.

    Args:
        logits: (B, N, U + 1, V), N and U the largest of the lengths. tokens: (B, U), padded with the blank.
        frame_lens: (B,), 1 or more. token_lens: (B,), 0 or more; more tokens than frames are allowed.
        fastemit, delay_penalty: see `HeadConfig`.

    Torchaudio's kernel serves CUDA; on CPUs, where it is two to six times slower, for the two options, which
    it lacks, and where `torchaudio_serves` says no, the package's own lattice does.
    """
    plain = fastemit == 0 and delay_penalty == 0
    if logits.is_cuda and plain and torchaudio_serves(logits, frame_lens, token_lens):
        return torchaudio_loss(logits, tokens, frame_lens, token_lens, blank_id)
    targets = nn.functional.pad(tokens, (0, 1), value=blank_id).unsqueeze(1).expand(logits.shape[:3])
    blank, label = arc_scores(logits, targets, blank_id)
    label = label[:, :, :-1] + delay_bonus(frame_lens, logits.size(1), delay_penalty)
    return lattice_loss(blank, label, frame_lens, token_lens, fastemit)[0]


def torchaudio_serves(logits: Tensor, frame_lens: Tensor, token_lens: Tensor) -> bool:
    """Whether torchaudio's CUDA kernel is right for this batch (shapes: see `full_loss`).

    It leaves the loss of an utterance of one frame or without tokens unwritten, and see `MOST_LOGITS`.
    """
    if logits.numel() >= MOST_LOGITS or logits.size(1) < 2 or logits.size(2) < 2:
        return False
    # The one question that waits for the GPU.
    return not bool(((frame_lens < 2) | (token_lens < 1)).any())


def torchaudio_loss(
    logits: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int
) -> Tensor:
    """`full_loss` without options by ``torchaudio.functional.rnnt_loss``."""
    losses: Tensor = rnnt_loss(
        logits.float().contiguous(),
        tokens.to(torch.int32).contiguous(),
        frame_lens.to(torch.int32),
        token_lens.to(torch.int32),
        blank=blank_id,
        reduction="none",
    )
    return losses


def simple_loss(
    enc: Tensor,
    pred: Tensor,
    tokens: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    blank_id: int,
    delay_penalty: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a joint that merely adds, which needs no (B, N, U, V) tensor (arXiv 2206.13236, section
    2.2).

    Args:
        enc: (B, N, V), what the frames say of each token. pred: (B, U + 1, V), what the predictor says.

    Returns:
        losses (B,) and the occupations of `lattice.occupations`, which tell where the paths run.
    """
    enc, pred = enc.float(), pred.float()
    enc_max, pred_max = enc.amax(2, keepdim=True).detach(), pred.amax(2, keepdim=True).detach()
    # The normaliser of a sum of logits is the logarithm of a product of matrices. Autocast would compute and
    # return it in half precision.
    with torch.autocast(enc.device.type, enabled=False):
        product = (enc - enc_max).exp() @ (pred - pred_max).exp().transpose(1, 2)
    normaliser = (product + FLOOR).log() + enc_max + pred_max.transpose(1, 2)
    blank = enc[:, :, blank_id].unsqueeze(2) + pred[:, :, blank_id].unsqueeze(1) - normaliser
    width, frames = tokens.size(1), enc.size(1)
    said = enc.gather(2, tokens.unsqueeze(1).expand(-1, frames, -1))
    expected = pred[:, :width].gather(2, tokens.unsqueeze(2)).transpose(1, 2)
    label = said + expected - normaliser[:, :, :-1]
    return lattice_loss(blank, label + delay_bonus(frame_lens, frames, delay_penalty), frame_lens, token_lens)


def band_starts(blank_share: Tensor, label_share: Tensor, lens: tuple[Tensor, Tensor], size: int) -> Tensor:
    """For each frame the first u of the ``size`` nodes that most of the probability passes, (B, N).

    The starts never fall, rise by less than ``size`` a frame, begin at 0 and end with the last node in the
    band: there is always a path (arXiv 2206.13236, section 2.3). lens: frames (B,), tokens (B,); ``size``
    must be at least what `band_size` says.
    """
    frame_lens, token_lens = lens
    frames = blank_share.size(1)
    passed = blank_share + nn.functional.pad(label_share, (0, 1))
    starts = passed.unfold(2, size, 1).sum(3).argmax(2)
    highest = (token_lens + 1 - size).clamp(min=0).unsqueeze(1)
    places = torch.arange(frames, device=starts.device).unsqueeze(0)
    last = (frame_lens - 1).unsqueeze(1)
    starts = torch.where(places >= last, highest, torch.minimum(starts, highest))
    starts = starts.flip(1).cummin(1).values.flip(1)
    # A start must be high enough for the later ones to be reached ...
    slope = (size - 1) * places
    starts = (starts - slope).flip(1).cummax(1).values.flip(1) + slope
    # ... and low enough to be reached from 0, which the last one is, as the band is wide enough.
    return torch.minimum(starts, slope)


def band_size(wanted: int, frame_lens: Tensor, token_lens: Tensor) -> int:
    """Nodes per frame: as wanted, more where a transcript is long for its frames, at most U + 1."""
    steep = int((token_lens.double() / frame_lens).ceil().max()) + 1
    return min(max(wanted, steep), int(token_lens.max()) + 1)


def band_loss(
    joint: Joint,
    frames: Tensor,
    pred: Tensor,
    tokens: Tensor,
    lens: tuple[Tensor, Tensor],
    starts: Tensor,
    size: int,
    blank_id: int,
    fastemit: float = 0.0,
    delay_penalty: float = 0.0,
) -> Tensor:
    """Negative log-likelihood (B,) of the paths inside the band; no tensor is larger than (B, N, ``size``,
    V).

    Args:
        frames: (B, N, J). pred: (B, U + 1, J). tokens: (B, U). lens: frames (B,), tokens (B,).
        starts: (B, N) of `band_starts`.
    """
    batch, count, _ = frames.shape
    nodes = pred.size(1)
    places = starts.unsqueeze(2) + torch.arange(size, device=starts.device)  # (B, N, size)
    rows = torch.arange(batch, device=starts.device).view(-1, 1, 1)
    logits = joint(frames.unsqueeze(2), pred[rows, places])
    targets = nn.functional.pad(tokens, (0, 1), value=blank_id)[rows, places]
    blank, label = arc_scores(logits, targets, blank_id)
    # A blank may lead only to a node that is in the band of the next frame as well.
    below = nn.functional.pad(starts[:, 1:], (0, 1), value=0).unsqueeze(2)
    blank = blank.masked_fill(places < below, NOTHING)
    whole_blank = blank.new_full((batch, count, nodes), NOTHING).scatter(2, places, blank)
    whole_label = label.new_zeros(batch, count, nodes).scatter(2, places, label)[:, :, :-1]
    whole_label = whole_label + delay_bonus(lens[0], count, delay_penalty)
    return lattice_loss(whole_blank, whole_label, lens[0], lens[1], fastemit)[0]
