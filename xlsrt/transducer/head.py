"""`TransducerHead`: predictor, joint and CTC layer on encoder frames, with their losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xlsrt.cpu import FRAMES, TOKENS, few_shapes, rounded_up
from xlsrt.transducer.config import HeadConfig
from xlsrt.transducer.joint import Joint, group_frames, grouped_lengths, zero_padding
from xlsrt.transducer.loss import band_loss, band_size, band_starts, full_loss, simple_loss
from xlsrt.transducer.predictor import build_predictor


class TransducerHead(nn.Module):
    """Everything behind the encoder: ``predictor``, ``joint``, ``ctc`` (None when ``ctc_weight`` is 0).

    The pruned loss has two more layers, ``simple_encoder`` and ``simple_predictor``, used in training only.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.predictor = build_predictor(config)
        self.joint = Joint(config)
        self.ctc = nn.Linear(config.encoder_size, config.vocab_size) if config.ctc_weight > 0 else None
        if config.loss == "pruned":
            width = config.encoder_size * config.output_subsampling
            self.simple_encoder = nn.Linear(width, config.vocab_size)
            self.simple_predictor = nn.Linear(config.predictor_size, config.vocab_size, bias=False)

    def grouped(self, enc: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder frames (B, T, D), lens (B,) -> groups (B, N, size * D) from frame 0 on, lengths."""
        size = self.config.output_subsampling
        if size == 1:
            return enc, lens
        return group_frames(zero_padding(enc, lens), size), grouped_lengths(lens, size)

    def ctc_log_probs(self, enc: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V), at the encoder's own rate whatever the output subsampling."""
        if self.ctc is None:
            raise RuntimeError("this head was built with ctc_weight 0 and has no CTC layer")
        return torch.log_softmax(self.ctc(enc).float(), dim=-1)

    def losses(
        self, enc: Tensor, enc_lens: Tensor, tokens: Tensor, token_lens: Tensor, num_updates: int = 0
    ) -> dict[str, Tensor]:
        """Losses of a batch, each the sum over utterances divided by B (as in ESPnet).

        Args:
            enc: (B, T, D). enc_lens: (B,) frames; an utterance of 0 frames adds nothing.
            tokens: (B, U) ids without blanks; padding may hold any value. token_lens: (B,), 0 allowed.
            num_updates: optimiser updates so far, for the warm-up of the loss settings.

        Returns:
            ``loss``, the weighted sum of the others: ``loss_transducer``; ``loss_simple`` (pruned only);
            ``loss_ctc`` (with a CTC layer).
        """
        device = enc.device
        enc_lens, token_lens = enc_lens.to(device), token_lens.to(device)
        frames, width = max(1, int(enc_lens.max())), int(token_lens.max())
        # Frames of no utterance go; a batch without any frame gets one, whose loss is dropped below.
        if few_shapes(enc):
            frames, width = rounded_up(frames, FRAMES), rounded_up(width + 1, TOKENS) - 1
        enc = nn.functional.pad(enc, (0, 0, 0, frames - enc.size(1)))
        beyond = torch.arange(width, device=device) >= token_lens.unsqueeze(1)
        tokens = nn.functional.pad(tokens.to(device), (0, width - tokens.size(1)))
        tokens = tokens.masked_fill(beyond, self.config.blank_id)
        heard = enc_lens > 0
        result, total = {}, enc.new_zeros((), dtype=torch.float32)
        parts = self._transducer_losses(enc, enc_lens.clamp(min=1), tokens, token_lens, num_updates)
        for name, (losses, weight) in parts.items():
            result[name] = losses.masked_fill(~heard, 0).sum() / enc.size(0)
            total = total + weight * result[name]
        if self.ctc is not None:
            result["loss_ctc"] = self.ctc_loss(enc, enc_lens, tokens, token_lens)
            total = total + self.config.ctc_weight * result["loss_ctc"]
        return {"loss": total, **result}

    def _transducer_losses(
        self, enc: Tensor, enc_lens: Tensor, tokens: Tensor, token_lens: Tensor, num_updates: int
    ) -> dict[str, tuple[Tensor, float]]:
        """Losses (B,) by name, each with its weight."""
        config = self.config
        warm = self.training and num_updates >= config.warmup_updates
        fastemit, penalty = (config.fastemit_lambda, config.delay_penalty) if warm else (0.0, 0.0)
        groups, lens = self.grouped(enc, enc_lens)
        said = self.predictor(self._misheard(tokens))
        frames, pred = self.joint.encoder_projection(groups), self.joint.predictor_projection(said)
        if config.loss == "full":
            logits = self.joint(frames.unsqueeze(2), pred.unsqueeze(1))
            losses = full_loss(logits, tokens, lens, token_lens, config.blank_id, fastemit, penalty)
            return {"loss_transducer": (losses, 1.0)}
        simple, *shares = simple_loss(
            self.simple_encoder(groups),
            self.simple_predictor(said),
            tokens,
            lens,
            token_lens,
            config.blank_id,
            penalty,
        )
        size = band_size(config.prune_range, lens, token_lens)
        starts = band_starts(shares[0], shares[1], (lens, token_lens), size)
        pruned = band_loss(
            self.joint,
            frames,
            pred,
            tokens,
            (lens, token_lens),
            starts,
            size,
            config.blank_id,
            fastemit,
            penalty,
        )
        # The simple joint must know its way before its band is worth following (arXiv 2206.13236, section 4).
        done = min(1.0, num_updates / config.warmup_updates) if config.warmup_updates else 1.0
        return {
            "loss_transducer": (pruned, 0.1 + 0.9 * done),
            "loss_simple": (simple, 1.0 + done * (config.simple_loss_scale - 1.0)),
        }

    def _misheard(self, tokens: Tensor) -> Tensor:
        """In training ``token_noise`` of the tokens (B, U) give way to random ones, never the blank."""
        if not self.training or self.config.token_noise == 0:
            return tokens
        others = torch.randint_like(tokens, self.config.vocab_size - 1)
        others = others + (others >= self.config.blank_id)
        wrong = torch.rand(tokens.shape, device=tokens.device) < self.config.token_noise
        return torch.where(wrong & (tokens != self.config.blank_id), others, tokens)

    def ctc_loss(self, enc: Tensor, enc_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """The CTC layer's loss, summed over the batch and divided by its size.

        A transcript that does not fit into its frames adds nothing: the transducer can still learn it.

        Args:
            enc: (B, T, D). enc_lens: (B,). tokens: (B, U) ids, any value below 0 where padded.
            token_lens: (B,).
        """
        losses = nn.functional.ctc_loss(
            self.ctc_log_probs(enc).transpose(0, 1),
            tokens.clamp(min=0),
            enc_lens,
            token_lens,
            blank=self.config.blank_id,
            reduction="none",
            zero_infinity=True,
        )
        return losses.masked_fill(enc_lens == 0, 0).sum() / enc.size(0)
