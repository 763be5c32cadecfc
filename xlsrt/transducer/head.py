"""`TransducerHead`: predictor, joint and CTC layer on encoder frames, with their losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xlsrt.transducer.config import HeadConfig
from xlsrt.transducer.joint import Joint, group_frames, grouped_lengths, zero_padding
from xlsrt.transducer.loss import full_loss
from xlsrt.transducer.predictor import build_predictor


class TransducerHead(nn.Module):
    """Everything behind the encoder: ``predictor``, ``joint``, ``ctc`` (None when ``ctc_weight`` is 0)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.predictor = build_predictor(config)
        self.joint = Joint(config)
        self.ctc = nn.Linear(config.encoder_size, config.vocab_size) if config.ctc_weight > 0 else None

    def project_frames(self, enc: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder frames (B, T, D), lens (B,) -> joint frames (B, N, J), lengths; grouped from frame 0 on."""
        size = self.config.output_subsampling
        if size > 1:
            enc = group_frames(zero_padding(enc, lens), size)
        return self.joint.encoder_projection(enc), grouped_lengths(lens, size)

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
            ``loss`` (transducer + ctc_weight x CTC), ``loss_transducer`` and, with a CTC layer, ``loss_ctc``.
        """
        device = enc.device
        enc_lens, token_lens = enc_lens.to(device), token_lens.to(device)
        frames, width = max(1, int(enc_lens.max())), int(token_lens.max())
        # Frames of no utterance go; a batch without any frame gets one, whose loss is dropped below.
        enc = nn.functional.pad(enc, (0, 0, 0, frames - enc.size(1)))
        beyond = torch.arange(width, device=device) >= token_lens.unsqueeze(1)
        tokens = tokens[:, :width].to(device).masked_fill(beyond, self.config.blank_id)
        heard = enc_lens > 0
        transducer = self._transducer_losses(enc, enc_lens.clamp(min=1), tokens, token_lens, num_updates)
        result = {"loss_transducer": transducer.masked_fill(~heard, 0).sum() / enc.size(0)}
        result["loss"] = result["loss_transducer"]
        if self.ctc is not None:
            result["loss_ctc"] = self._ctc_loss(enc, enc_lens, tokens, token_lens)
            result["loss"] = result["loss"] + self.config.ctc_weight * result["loss_ctc"]
        return result

    def _transducer_losses(
        self, enc: Tensor, enc_lens: Tensor, tokens: Tensor, token_lens: Tensor, num_updates: int
    ) -> Tensor:
        frames, lens = self.project_frames(enc, enc_lens)
        pred = self.joint.predictor_projection(self.predictor(tokens))
        return full_loss(
            self.joint(frames.unsqueeze(2), pred.unsqueeze(1)), tokens, lens, token_lens, self.config.blank_id
        )

    def _ctc_loss(self, enc: Tensor, enc_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """A transcript that does not fit into its frames adds nothing: the transducer can still learn it."""
        losses = nn.functional.ctc_loss(
            self.ctc_log_probs(enc).transpose(0, 1),
            tokens,
            enc_lens,
            token_lens,
            blank=self.config.blank_id,
            reduction="none",
            zero_infinity=True,
        )
        return losses.masked_fill(enc_lens == 0, 0).sum() / enc.size(0)
