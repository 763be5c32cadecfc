"""Learning-rate schedules, stepped once per update."""

from __future__ import annotations

import argparse
import inspect
import math
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler

from xlsrt.errors import UserError
from xlsrt.settings import as_mapping, check_keys, typed

SHAPES = ("exponential", "cosine", "linear")


class WarmupHoldDecay(AbsBatchStepScheduler):
    """Linear warm-up, a plateau, then a decay to ``final_scale``: `scheduler: warmupholddecay`.

    The tri-stage schedule of wav2vec 2.0 fine-tuning (arXiv 2006.11477, section 4.3) is ``warmup: 0.1, hold:
    0.4,
    decay: exponential``. Lengths below 1 are shares of the training's total number of updates, which the
    trainer tells before the first one; from 1 on they are updates.

    Args:
        optimizer: its groups' rates at construction are the peaks.
        warmup: length of the warm-up. hold: length of the plateau.
        decay: "exponential", "cosine" or "linear".
        init_scale: rate at update 0 as a share of the peak. final_scale: rate at the last update.
        total_updates: 0 takes the number from the trainer (epochs x updates per epoch).
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup: float = 0.1,
        hold: float = 0.4,
        decay: str = "exponential",
        init_scale: float = 0.01,
        final_scale: float = 0.05,
        total_updates: float = 0,
    ) -> None:
        warmup, hold, init_scale, final_scale, total_updates = (
            typed(value, float, f"scheduler_conf.{name}")
            for name, value in (
                *(("warmup", warmup), ("hold", hold), ("init_scale", init_scale)),
                *(("final_scale", final_scale), ("total_updates", total_updates)),
            )
        )
        if decay not in SHAPES:
            raise UserError(f"scheduler_conf.decay is {decay!r}; it must be one of {', '.join(SHAPES)}")
        if warmup < 0 or hold < 0 or (warmup < 1 and hold < 1 and warmup + hold > 1):
            raise UserError(
                f"scheduler_conf: warmup ({warmup}) and hold ({hold}) must not be negative nor exceed all"
            )
        if not (0 < init_scale <= 1 and 0 < final_scale <= 1):
            raise UserError(
                f"scheduler_conf: init_scale ({init_scale}) and final_scale ({final_scale}) must be in (0, 1]"
            )
        self.optimizer = optimizer
        self.warmup, self.hold, self.decay = warmup, hold, decay
        self.init_scale, self.final_scale = init_scale, final_scale
        self.fixed_total = total_updates > 0
        self.total = max(1, int(total_updates))
        self.updates = 0
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self._apply()

    def set_total_updates(self, total: int) -> None:
        """What the trainer says; ignored when ``total_updates`` was given."""
        if not self.fixed_total:
            self.total = max(1, total)
        self._apply()

    def scale(self, update: int) -> float:
        """The factor on every peak rate for the update with this number, counted from 0."""
        warmup, hold = self._updates_of(self.warmup), self._updates_of(self.hold)
        if update < warmup:
            return self.init_scale + (1 - self.init_scale) * update / warmup
        if update < warmup + hold:
            return 1.0
        progress = min(1.0, (update - warmup - hold) / max(1, self.total - warmup - hold))
        if self.decay == "exponential":
            return self.final_scale**progress
        fallen = (1 + math.cos(math.pi * progress)) / 2 if self.decay == "cosine" else 1 - progress
        return self.final_scale + (1 - self.final_scale) * fallen

    def step(self, epoch: int | None = None) -> None:
        """One update has been made."""
        self.updates += 1
        self._apply()

    def state_dict(self) -> dict[str, Any]:
        """Only where it stands: its shape is the configuration's."""
        return {"updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.updates = int(state["updates"])
        self._apply()

    def _updates_of(self, length: float) -> int:
        return round(length * self.total) if length < 1 else int(length)

    def _apply(self) -> None:
        scale = self.scale(self.updates)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale


def check_schedule(args: argparse.Namespace) -> None:
    """Refuse what `WarmupHoldDecay` would, where it is asked for."""
    if args.scheduler == "warmupholddecay":
        conf = as_mapping(args.scheduler_conf, "scheduler_conf", optional=True)
        check_keys(conf, list(inspect.signature(WarmupHoldDecay).parameters)[1:], "scheduler_conf")
        WarmupHoldDecay(torch.optim.SGD([torch.zeros(1)], lr=1.0), **conf)
