"""What self-supervised training trains: an encoder, and an objective that is thrown away afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.trained_model import TrainedModel
from xlsrt.pretrain.best_rq import BestRq
from xlsrt.pretrain.contrastive import Contrastive
from xlsrt.pretrain.masked import MaskConfig, masked_pass
from xlsrt.pretrain.monitor import CollapseMonitor, MonitorConfig


class SslModel(TrainedModel, AbsESPnetModel):
    """Masked prediction with ESPnet's training interface.

    Args:
        encoder: the adapter, whose contexts and augmentation hold here too. objective: targets and loss.
        mask: what is hidden. monitor: what counts as collapse. seed: of the masks.
    """

    def __init__(
        self,
        encoder: XlsrEspnetEncoder,
        objective: BestRq | Contrastive,
        mask: MaskConfig,
        monitor: MonitorConfig,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.mask_config = mask
        self.monitor = CollapseMonitor(monitor)
        self.seed = seed
        self.num_updates = 0

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss of a batch.

        Args:
            speech: (B, S). speech_lengths: (B,). kwargs: ESPnet adds ``utt_id``.

        Returns:
            loss per masked frame (scalar), figures, weight (masked frames as a scalar tensor).
        """
        # Drawn from the place in the training, so that a resumed one hides the same; validation is always
        # the same.
        place = (self.seed * 1_000_003 + self.encoder.batches_seen) * 1_009 + self.encoder.rank
        draw = torch.Generator().manual_seed(place % 2**63 if self.training else self.seed)
        speech = speech[:, : int(speech_lengths.max())]
        wav, lens, context = self.encoder.heard(speech, speech_lengths)
        passed = masked_pass(self.encoder.xlsr, wav, lens, context, self.mask_config, draw)
        loss, figures = self.objective(passed, self.num_updates, draw)
        return loss, {"loss": loss.detach(), **figures}, passed.mask.sum().clamp(min=1).to(loss.dtype)

    def watch(self, figures: Mapping[str, Tensor]) -> None:
        """Stop with a reason when the training has collapsed."""
        self.monitor.watch({name: float(value) for name, value in figures.items()}, self.num_updates)

    def training_state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {
            **super().training_state(),
            "monitor": self.monitor.state_dict(),
            "targets": self._targets(),
        }

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Undo `training_state`.

        Raises:
            UserError: the checkpoint's targets are made otherwise; it would go on with its own.
        """
        before = state.get("targets", self._targets())  # older checkpoints do not say
        if before != self._targets():
            raise UserError(
                f"the checkpoint was trained with other targets: objective_conf {before}, and this is "
                f"{self._targets()}; give the same or another --output_dir"
            )
        super().load_training_state(state)
        self.monitor.load_state_dict(state["monitor"])

    def _targets(self) -> dict[str, Any]:
        """What decides what is predicted, where the checkpoint that training began with does not."""
        return self.objective.config.to_dict() if isinstance(self.objective, BestRq) else {}

    def collect_feats(self, **batch: Tensor) -> dict[str, Tensor]:
        """There are no features to collect: the lengths are known."""
        raise UserError("self-supervised training has no features to collect; leave collect_stats out")
