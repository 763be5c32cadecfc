"""What the trainer asks of a model beyond ESPnet's interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from xlsrt.espnet_task.encoder import XlsrEspnetEncoder


class TrainedModel(nn.Module):
    """Mixed into an ESPnet model that has an ``encoder`` and keeps count of the updates.

    Attributes:
        encoder: the adapter.
        num_updates: of the optimiser so far.
    """

    encoder: XlsrEspnetEncoder
    num_updates: int

    def set_num_updates(self, num_updates: int) -> None:
        """Tell everyone who keeps a schedule how many optimiser updates there have been."""
        self.num_updates = num_updates
        self.encoder.xlsr.set_num_updates(num_updates)

    def frozen_parameters(self) -> Iterator[nn.Parameter]:
        """What must stay as it is in the next update, although it has a (zero) gradient."""
        if self.num_updates < self.encoder.xlsr.config.freeze_encoder_updates:
            yield from self.encoder.parameters()

    def training_state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {"num_updates": self.num_updates, "batches_seen": self.encoder.batches_seen}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Undo `training_state`."""
        self.encoder.batches_seen = int(state["batches_seen"])
        self.set_num_updates(int(state["num_updates"]))

    def watch(self, figures: Mapping[str, Tensor]) -> None:
        """Hear the figures of a training batch, merged over the ranks; an error ends the training."""
