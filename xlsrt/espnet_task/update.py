"""Forward, backward and one optimiser update, on one or many ranks."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from espnet2.train.reporter import SubReporter
from torch import Tensor, nn

from xlsrt.encoder.precision import multiplies_bfloat16
from xlsrt.errors import UserError
from xlsrt.espnet_task.distributed import Ranks
from xlsrt.espnet_task.lean_import import step_without_compiler
from xlsrt.espnet_task.options import XlsrTrainerOptions
from xlsrt.espnet_task.sharding import is_sharded, whole
from xlsrt.espnet_task.trained_model import TrainedModel


class Updater:
    """Turns batches into updates.

    Args:
        model: the model. module: what is called, ``model`` itself or its DDP wrapper.
        optimizer: over ``model``'s parameters. options: the trainer's. ranks: who trains along.
    """

    def __init__(
        self,
        model: TrainedModel,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        options: XlsrTrainerOptions,
        ranks: Ranks,
    ) -> None:
        self.model, self.module, self.optimizer, self.options, self.ranks = (
            model,
            module,
            optimizer,
            options,
            ranks,
        )
        self.kind = "cuda" if options.ngpu > 0 else "cpu"
        # Before Ampere GPUs only emulate bfloat16, slowly: float16 is what they multiply.
        half = self.kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = torch.float16 if half else torch.bfloat16
        self.mixed = options.use_amp if self.kind == "cuda" else options.cpu_amp and multiplies_bfloat16()
        if options.cpu_amp and self.kind == "cpu" and not self.mixed:
            logging.info("cpu_amp: this CPU does not multiply bfloat16, float32 is faster and taken instead")
        # bfloat16 has float32's range: only float16 needs its loss scaled.
        self.scaler = torch.amp.GradScaler("cuda") if self.mixed and half else None
        self.broken_in_a_row = 0
        self.suspects: deque[str] = deque(maxlen=5)
        self.sharded = is_sharded(model)
        plain = self.kind == "cpu" and not ranks.distributed
        self.update = step_without_compiler(optimizer) if plain else optimizer.step
        optimizer.zero_grad()

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision, if it is on."""
        return torch.autocast(self.kind, dtype=self.dtype, enabled=self.mixed)

    def backward(
        self, utterances: Sequence[str], batch: dict[str, Tensor], sub: SubReporter, boundary: bool
    ) -> None:
        """Add the gradients of a batch: the mean over its utterances on all ranks, shared among
        ``accum_grad`` batches.

        Args:
            utterances: their names. batch: the model's arguments. sub: gets the figures.
            boundary: whether `step` follows; before that DDP need not exchange gradients.
        """
        waits = self.ranks.distributed and not boundary
        if self.sharded:
            self.module.set_requires_gradient_sync(not waits)  # type: ignore[operator]
        alone = waits and not self.sharded
        with self.module.no_sync() if alone else contextlib.nullcontext():  # type: ignore[operator]
            with self.autocast():
                loss, stats, weight = self.module(**batch)
            if not torch.isfinite(loss):
                self.suspects.append(f"{utterances[0]} (batch of {len(utterances)})")
            everyone = self.ranks.total(weight).to(loss)
            # DDP divides by the number of ranks.
            scaled = loss * (weight.to(loss) / everyone) * self.ranks.size / self.options.accum_grad
            (scaled if self.scaler is None else self.scaler.scale(scaled)).backward()
        merged = self.ranks.merge(stats, weight)
        self.model.watch(merged)
        sub.register(merged, everyone)

    def step(self, sub: SubReporter) -> bool:
        """Clip and update; a gradient that is not finite is dropped. Returns whether the parameters were
        updated.

        Raises:
            UserError: too many broken gradients in a row.
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.options.grad_clip, norm_type=self.options.grad_clip_type
        )
        norm = whole(norm)
        finite = bool(torch.isfinite(norm))
        for parameter in self.model.frozen_parameters():
            # DDP wants their zeros; without a gradient the optimiser leaves weights, decay and moments alone.
            parameter.grad = None
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif finite:
            self.update()
        if not self.sharded:
            # Fused optimisers do not: who keeps something made of the weights looks at their version.
            torch.autograd.graph.increment_version([p for p in self.model.parameters() if p.requires_grad])
        self.optimizer.zero_grad()
        if not finite:
            self._broken(float(norm))
            return False
        self.broken_in_a_row = 0
        sub.register(
            {"grad_norm": norm, "clip": 100.0 * float(norm > self.options.grad_clip), **self._rates()}
        )
        self.model.set_num_updates(self.model.num_updates + 1)
        return True

    def _rates(self) -> dict[str, float]:
        """Learning rates: of the head (optim0_lr0, ESPnet's name) and of the encoder's top layer."""
        groups = self.optimizer.param_groups
        shown = {"optim0_lr0": groups[0]["lr"]}
        encoder = next((group for group in groups if not group.get("name", "").startswith("head")), None)
        if encoder is not None:
            shown["optim0_lr_encoder"] = encoder["lr"]
        return shown

    def _broken(self, norm: float) -> None:
        self.broken_in_a_row += 1
        logging.warning(f"gradient norm is {norm}: update skipped ({self.broken_in_a_row} in a row)")
        if self.broken_in_a_row >= self.options.max_invalid_updates:
            seen = (
                f"; batches with such a loss begin with {', '.join(self.suspects)}" if self.suspects else ""
            )
            raise UserError(
                f"the training has diverged: {self.broken_in_a_row} updates in a row had an infinite or "
                f"undefined gradient{seen}. checkpoint.pth holds the last good state. Lower optim_conf.lr, "
                "lengthen the warm-up or turn mixed precision off; raise max_invalid_updates only if this "
                "was a passing disturbance"
            )
