"""The pretraining model: an encoder with two linear phoneme heads that are thrown away afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrEncoder

IGNORED = -1


@dataclass
class PhonemeBatch:
    """Waveforms with their phonemes.

    Attributes:
        wav: (B, S) float32 at 16 kHz, zero beyond ``wav_lens``.
        wav_lens: (B,) samples.
        phonemes: (B, U) inventory ids from 1 (0 is the CTC blank), padded with 0.
        phoneme_lens: (B,).
        frames: (B, T) inventory id at the centre of each 20 ms encoder frame, 0 for silence, `IGNORED` beyond
            the end.
    """

    wav: Tensor
    wav_lens: Tensor
    phonemes: Tensor
    phoneme_lens: Tensor
    frames: Tensor


class PhonemeModel(nn.Module):
    """Encoder, a frame classifier and a CTC head over one multilingual phoneme inventory.

    The frame loss needs no alignment search, which is what keeps plain CTC on its plateau for tens of
    epochs from random weights; the synthesiser knows where each phoneme is, so we use it. CTC takes over
    with `frame_weight` falling, since it may place a phoneme where a limited context can know it.

    Args:
        encoder: any `XlsrEncoder`.
        num_phonemes: inventory size without the blank.
    """

    def __init__(self, encoder: XlsrEncoder, num_phonemes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.frame_head = nn.Linear(encoder.config.hidden_size, num_phonemes + 1)
        self.ctc_head = nn.Linear(encoder.config.hidden_size, num_phonemes + 1)

    def forward(
        self, batch: PhonemeBatch, context: AttentionContext, frame_weight: float
    ) -> dict[str, Tensor]:
        """Scalars: ``loss``, ``frame_loss`` per frame and ``ctc_loss`` per phoneme."""
        enc, enc_lens = self.encoder(batch.wav, batch.wav_lens, context)
        enc = enc.float()
        frames = batch.frames[:, : enc.shape[1]]
        frame_loss = F.cross_entropy(
            self.frame_head(enc).transpose(1, 2), frames, ignore_index=IGNORED, label_smoothing=0.05
        )
        log_probs = self.ctc_head(enc).log_softmax(-1)
        ctc = F.ctc_loss(
            log_probs.transpose(0, 1),
            batch.phonemes,
            enc_lens,
            batch.phoneme_lens,
            reduction="sum",
            zero_infinity=True,
        )
        ctc_loss = ctc / batch.phoneme_lens.sum().clamp(min=1)
        loss = frame_weight * frame_loss + (1.0 - frame_weight) * ctc_loss
        return {"loss": loss, "frame_loss": frame_loss.detach(), "ctc_loss": ctc_loss.detach()}

    @torch.no_grad()
    def decode(self, batch: PhonemeBatch, context: AttentionContext) -> list[list[int]]:
        """Greedy CTC phonemes of each utterance in the batch."""
        enc, enc_lens = self.encoder(batch.wav, batch.wav_lens, context)
        best = self.ctc_head(enc.float()).argmax(-1)
        out = []
        for row, length in zip(best, enc_lens.tolist(), strict=True):
            collapsed = torch.unique_consecutive(row[:length])
            out.append([int(i) for i in collapsed if i != 0])
        return out
