"""One training from its first or last checkpoint to its end.

The state at any update boundary is in `TrainingRun.state`; kill -9 at any moment loses at most what was done
since the last save, and a run that goes on from there sees the same batches, contexts and random numbers.
"""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import (
    AbsBatchStepScheduler,
    AbsEpochStepScheduler,
    AbsValEpochStepScheduler,
)
from espnet2.torch_utils.device_funcs import to_device
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import Reporter, SubReporter
from torch import nn

from xlsrt.cpu import prepare_training
from xlsrt.errors import UserError
from xlsrt.espnet_task import retention, sharding
from xlsrt.espnet_task.checkpoint import plain_stats, reporter_stats
from xlsrt.espnet_task.distributed import Ranks, rates
from xlsrt.espnet_task.iterator import ResumableIterFactory, SplitIterFactory
from xlsrt.espnet_task.midepoch import EpochPosition, open_sub_reporter, position_of, read_position
from xlsrt.espnet_task.options import XlsrTrainerOptions
from xlsrt.espnet_task.progress import Progress
from xlsrt.espnet_task.signals import StopRequest
from xlsrt.espnet_task.trained_model import TrainedModel
from xlsrt.espnet_task.update import Updater
from xlsrt.files import remove_leftovers
from xlsrt.tensor_files import read_checkpoint, write_torch
from xlsrt.units import SAMPLE_RATE

FORMAT = 1


class TrainingRun:
    """Everything that one training holds. Build it and call `train_all` once."""

    def __init__(
        self,
        model: TrainedModel,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        train: ResumableIterFactory | SplitIterFactory,
        valid: ResumableIterFactory,
        options: XlsrTrainerOptions,
        distributed: DistributedOption,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.train_factory, self.valid_factory, self.options = train, valid, options
        self.device = torch.device("cuda" if options.ngpu > 0 else "cpu")
        if self.device.type == "cpu":
            prepare_training()
        self.ranks = Ranks(
            distributed.distributed, distributed.dist_rank or 0, distributed.dist_world_size or 1, self.device
        )
        model.encoder.rank = self.ranks.rank
        self.directory = Path(options.output_dir)
        self.checkpoint = self.directory / "checkpoint.pth"
        self.criteria = [tuple(criterion) for criterion in options.best_model_criterion]
        keep = options.keep_nbest_models
        self.keep_best = keep if isinstance(keep, int) else max(keep, default=1)
        self.reporter = Reporter()
        self.stop = StopRequest()
        self.batches_per_epoch = train.num_batches()
        self.updates_per_epoch = -(-self.batches_per_epoch // options.accum_grad)
        if hasattr(scheduler, "set_total_updates"):
            scheduler.set_total_updates(self.updates_per_epoch * options.max_epoch)
        self.updater = Updater(model, self._wrapped(distributed), optimizer, options, self.ranks)

    def _wrapped(self, distributed: DistributedOption) -> nn.Module:
        if not distributed.distributed or sharding.is_sharded(self.model):
            return self.model
        # A note on the memory layout of one convolution's gradients, printed by every rank.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return nn.parallel.DistributedDataParallel(
            self.model,
            device_ids=[torch.cuda.current_device()] if self.options.ngpu else None,
            find_unused_parameters=self.options.unused_parameters,
            gradient_as_bucket_view=self.options.gradient_as_bucket_view,
        )

    def train_all(self) -> None:
        """Resume if there is a checkpoint; then epoch after epoch."""
        options = self.options
        resumed = self._resume() if options.resume else None
        first = self.reporter.get_epoch() + 1
        if self.ranks.writes:
            remove_leftovers(self.directory)
            self._tidy()
        if first > options.max_epoch:
            logging.info(f"the training has reached its {options.max_epoch} epochs already")
        self.progress = Progress(
            self.directory,
            options.max_epoch,
            self.ranks.writes,
            options.use_tensorboard and first <= options.max_epoch,
            options.use_matplotlib,
        )
        try:
            with self.stop.listening():
                for epoch in range(first, options.max_epoch + 1):
                    if self._patience_is_over():
                        break
                    self._epoch(epoch, resumed)
                    resumed = None
        finally:
            self.progress.close()
        if self.ranks.writes:
            if first <= options.max_epoch:
                self.progress.plot(self.reporter)
            retention.write_averages(
                self.directory, self.reporter.stats, self.criteria, self.keep_best, options.keep_last_models
            )
            logging.info(f"The training was finished at {self.reporter.get_epoch()} epochs")

    def _epoch(self, epoch: int, resumed: EpochPosition | None) -> None:
        set_all_random_seed(self.options.seed + epoch)
        self.reporter.set_epoch(epoch)
        with open_sub_reporter(self.reporter, "train", resumed) as sub:
            self._train(epoch, sub, resumed)
        with self.reporter.observe("valid") as sub:
            self._validate(epoch, sub)
        if isinstance(self.scheduler, AbsValEpochStepScheduler):
            self.scheduler.step(self.reporter.get_value(*self.options.val_scheduler_criterion))
        elif isinstance(self.scheduler, AbsEpochStepScheduler):
            self.scheduler.step()
        improved: list[str] = []
        weights, _ = sharding.states(self.model)
        if self.ranks.writes:
            # In this order a kill between any two leaves something to go on from: the model of the epoch, the
            # checkpoint that counts the epoch as done, and then links and deletions, which follow from both.
            write_torch(retention.epoch_file(self.directory, epoch), weights)
        self._save(None)
        if self.ranks.writes:
            improved = self._tidy()
        self.progress.end_epoch(self.reporter, improved)
        if epoch < self.options.max_epoch and self.ranks.any(bool(self.stop)):
            raise self.stop.leave()

    def _train(self, epoch: int, sub: SubReporter, resumed: EpochPosition | None) -> None:
        done = resumed.batches_done if resumed else 0
        total = self.batches_per_epoch
        self.progress.start_epoch(epoch, total, done)
        window = self.options.log_interval or max(total // 5, 10)
        self.updater.module.train()
        iterator = iter(self.train_factory.build_iter(epoch, skip=done))
        if resumed:
            resumed.restore_random_state(self.ranks.rank)
        last_save = time.perf_counter()
        for batch_number in range(done + 1, total + 1):
            started = time.perf_counter()
            utterances, batch = next(iterator)
            loaded = time.perf_counter()
            boundary = batch_number % self.options.accum_grad == 0 or batch_number == total
            self.updater.backward(utterances, to_device(batch, str(self.device)), sub, boundary)
            if boundary and self.updater.step(sub) and isinstance(self.scheduler, AbsBatchStepScheduler):
                self.scheduler.step()
            sub.register({"iter_time": loaded - started, "step_time": time.perf_counter() - loaded})
            sub.register({"audio_seconds": self._audio_seconds(batch)})
            sub.next()
            if batch_number % window == 0:
                self.progress.log_updates(sub, batch_number, window, self.optimizer.param_groups[0]["lr"])
            if not boundary:
                continue
            due = time.perf_counter() - last_save > self.options.checkpoint_seconds
            # The ranks' clocks differ, and they save together.
            stop, due = self.ranks.any_of(bool(self.stop), due)
            if stop or due:
                self._save(position_of(sub, epoch, total, batch_number, self.ranks))
                last_save = time.perf_counter()
            if stop:
                self.ranks.meet()
                raise self.stop.leave()
        # A long validation must not cost the epoch when it is killed.
        if self.ranks.any(time.perf_counter() - last_save > self.options.checkpoint_seconds / 4):
            self._save(position_of(sub, epoch, total, total, self.ranks))

    def _audio_seconds(self, batch: dict[str, torch.Tensor]) -> float:
        """Speech in a batch of all ranks, which have about as much each; of it comes the throughput."""
        return float(batch["speech_lengths"].sum()) / SAMPLE_RATE * self.ranks.size

    @torch.no_grad()
    def _validate(self, epoch: int, sub: SubReporter) -> None:
        self.updater.module.eval()
        for _, batch in self.valid_factory.build_iter(epoch):
            with self.updater.autocast():
                _, stats, weight = self.updater.module(**to_device(batch, str(self.device)))
            merged = self.ranks.merge(stats, weight)
            plain, counted = rates(merged)
            sub.register(plain, self.ranks.total(weight))
            for name, (rate, tokens) in counted.items():
                sub.register({name: rate}, tokens)
            sub.next()
            if self.ranks.any(bool(self.stop)):
                # Everything of this epoch's training is saved by now or is saved here; validation starts
                # over.
                self._save(self._trained(epoch))
                self.ranks.meet()
                raise self.stop.leave()

    def _patience_is_over(self) -> bool:
        patience, criterion = self.options.patience, tuple(self.options.early_stopping_criterion)
        epoch = self.reporter.get_epoch()
        if patience is None or epoch == 0 or not self.reporter.has(*criterion[:2]):
            return False
        best = retention.rank_epochs(self.reporter.stats, criterion)[0]  # type: ignore[arg-type]
        if epoch - best <= patience:
            return False
        logging.info(
            f"no better {'.'.join(criterion[:2])} since epoch {best} (patience {patience}): stopping early"
        )
        return True

    def _tidy(self) -> list[str]:
        return retention.tidy(
            self.directory, self.reporter.stats, self.criteria, self.keep_best, self.options.keep_last_models
        )

    def _trained(self, epoch: int) -> EpochPosition:
        stats = self.reporter.stats[epoch]["train"]
        return EpochPosition.whole(epoch, self.batches_per_epoch, stats, self.ranks.size)

    def _save(self, position: EpochPosition | None) -> None:
        """Write checkpoint.pth; ``position`` is None between epochs."""
        weights, moments = sharding.states(self.model, self.optimizer)
        if not self.ranks.writes:
            return
        scaler = self.updater.scaler
        done = self.reporter.get_epoch() - (0 if position is None else 1)
        write_torch(
            self.checkpoint,
            {
                "format": FORMAT,
                "model": weights,
                "training_state": self.model.training_state(),
                "reporter": plain_stats({e: s for e, s in self.reporter.stats.items() if e <= done}),
                "epochs_done": done,
                "position": None if position is None else position.to_dict(),
                "optimizers": [moments],
                "schedulers": [None if self.scheduler is None else self.scheduler.state_dict()],
                "scaler": None if scaler is None else scaler.state_dict(),
            },
        )

    def _resume(self) -> EpochPosition | None:
        if not self.checkpoint.exists():
            return None
        sharded = sharding.is_sharded(self.model)
        # To the CPU, from where the optimiser moves what belongs beside its parameters. AdamW's count of
        # steps does not: on a GPU every parameter's update would wait for it.
        states = sharding.read_on_first(lambda: read_checkpoint(self.checkpoint), sharded, self.ranks.rank)
        try:
            sharding.load_states(self.model, self.optimizer, states["model"], states["optimizers"][0])
        except torch.cuda.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:  # torch lists what does not fit
            raise UserError(
                f"{self.checkpoint} is of another model ({' '.join(str(error).split())}): give the settings "
                "that it was trained with, or another --output_dir"
            ) from None
        self.model.load_training_state(states["training_state"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(states["schedulers"][0])
        if self.updater.scaler is not None and states["scaler"] is not None:
            self.updater.scaler.load_state_dict(states["scaler"])
        self.reporter.load_state_dict(
            {"epoch": states["epochs_done"], "stats": reporter_stats(states["reporter"])}
        )
        position = read_position(states["position"], self.batches_per_epoch, self.ranks.size)
        where = f", batch {position.batches_done} of {self.batches_per_epoch}" if position else ""
        logging.info(f"going on after epoch {states['epochs_done']}{where} ({self.checkpoint})")
        return position
