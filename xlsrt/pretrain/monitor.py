"""Watch a self-supervised training for collapse, and stop it with a reason.

Every objective reports per update:

* ``accuracy``: share of the masked frames whose target was found;
* ``baseline``: what is found without listening (the commonest code, or a guess among the different
  candidates);
* ``code_use``: diversity of the targets, perplexity over what would be possible: 1 when all codes are alike;
* ``feature_std``: spread of the encoder's output over frames: 0 when every frame looks the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from xlsrt.errors import UserError
from xlsrt.settings import Settings

WATCHED = ("accuracy", "baseline", "code_use", "feature_std")
# Updates over which the figures are averaged: the last hundred or so.
_DECAY = 0.99


@dataclass(frozen=True)
class MonitorConfig(Settings):
    """What counts as collapse.

    Attributes:
        after_updates: nothing is judged before; 0 judges never.
        min_feature_std: below it the encoder's output is called constant.
        min_code_use: below it nearly all targets are the same few codes.
        min_accuracy_ratio: accuracy over baseline; at 1 nothing has been learnt.
    """

    WHERE = "monitor_conf"

    after_updates: int = 500
    min_feature_std: float = 0.02
    min_code_use: float = 0.01
    min_accuracy_ratio: float = 1.02

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("after_updates", "min_feature_std", "min_code_use", "min_accuracy_ratio"):
            if getattr(self, name) < 0:
                raise UserError(f"monitor_conf.{name} is {getattr(self, name)}; it must not be negative")
        if self.min_code_use >= 1:
            raise UserError(
                f"monitor_conf.min_code_use is {self.min_code_use}; code_use is at most 1, and every "
                "training would be called collapsed"
            )


class CollapseMonitor:
    """Moving averages of the watched figures, judged after each update."""

    def __init__(self, config: MonitorConfig) -> None:
        self.config = config
        self.means: dict[str, float] = {}

    def state_dict(self) -> dict[str, float]:
        """The averages, for the checkpoint."""
        return dict(self.means)

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Undo `state_dict`."""
        self.means = {name: float(value) for name, value in state.items()}

    def watch(self, figures: Mapping[str, float], num_updates: int) -> None:
        """Take in the figures of a batch; ``num_updates`` updates were made before it.

        Raises:
            UserError: the training has collapsed; says by which figure, and what may help.
        """
        for name in WATCHED:
            value = float(figures[name])
            if not math.isfinite(value):
                continue  # the trainer counts broken updates itself; a mean would never be a number again
            self.means[name] = _DECAY * self.means.get(name, value) + (1 - _DECAY) * value
        if not self.config.after_updates or num_updates < self.config.after_updates:
            return
        if reason := self._verdict():
            shown = ", ".join(f"{name} {self.means[name]:.4g}" for name in WATCHED)
            raise UserError(
                f"the training has collapsed: {reason} ({shown}; averages at update {num_updates}). "
                "checkpoint.pth holds the last state. Lower optim_conf.lr or lengthen the warm-up and start "
                "anew; look at the audio (listen to a few files, see `dropped`); or, if this is expected, "
                "change the limits in monitor_conf (after_updates: 0 turns them off)"
            )

    def _verdict(self) -> str | None:
        config, mean = self.config, self.means
        if len(mean) < len(WATCHED):
            return None
        if mean["feature_std"] < config.min_feature_std:
            return f"the encoder's output hardly changes from frame to frame (limit {config.min_feature_std})"
        if mean["code_use"] < config.min_code_use:
            return f"nearly all targets are the same few codes (limit of code_use {config.min_code_use})"
        if mean["accuracy"] < config.min_accuracy_ratio * mean["baseline"]:
            return (
                "masked frames are not predicted better than without listening (accuracy must be "
                f"{config.min_accuracy_ratio} times the baseline)"
            )
        return None
