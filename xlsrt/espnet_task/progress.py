"""What a training says about itself: log lines with the time that remains, curves, TensorBoard."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from espnet2.train.reporter import Reporter, SubReporter

PLOT_SECONDS = 180.0
EPOCH = "epoch/"
"""Begins the TensorBoard tags of means over an epoch of training."""
_NOT_DRAWN = {"iter_time", "step_time", "audio_seconds", "clip", "gpu_max_cached_mem_GB"}
_SHOWN = (
    *("loss", "loss_ctc", "loss_transducer", "accuracy", "baseline", "code_use", "feature_std"),
    *("grad_norm", "iter_time", "step_time"),
)


def spell(seconds: float) -> str:
    """``95`` -> ``2 min``; ``5400`` -> ``1.5 h``."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Clock and writer of one training. Only the first rank writes.

    Args:
        output_dir: of the experiment. epochs: in all. writes: whether this process is the one that reports.
        tensorboard, curves: which of them are wanted.
    """

    def __init__(self, output_dir: Path, epochs: int, writes: bool, tensorboard: bool, curves: bool) -> None:
        self.output_dir, self.epochs, self.writes = output_dir, epochs, writes
        self.curves = curves and writes
        self.plotted = time.perf_counter()
        self.epoch_seconds: list[float] = []
        self.writers: dict[str, Any] = {}
        if tensorboard and writes:
            from torch.utils.tensorboard import SummaryWriter

            self.writers = {
                phase: SummaryWriter(str(output_dir / "tensorboard" / phase)) for phase in ("train", "valid")
            }

    def start_epoch(self, epoch: int, batches: int, skip: int) -> None:
        """An epoch begins, or goes on after ``skip`` of its batches."""
        self.epoch, self.batches, self.skip, self.logged = epoch, batches, skip, False
        self.started = time.perf_counter()
        if self.writes:
            where = f", going on at batch {skip + 1} of {batches}" if skip else f", {batches} batches"
            logging.info(f"{epoch}/{self.epochs}epoch started{where}")

    def log_updates(self, sub: SubReporter, batch: int, window: int, rate: float) -> None:
        """A line about the last ``window`` batches, ``batch`` of the epoch being done."""
        if not self.writes:
            return
        done = max(1, batch - self.skip)
        elapsed = time.perf_counter() - self.started
        to_epoch_end = elapsed / done * (self.batches - batch)
        whole = self.epoch_seconds[-1] if self.epoch_seconds else elapsed / done * self.batches
        rest = to_epoch_end + whole * (self.epochs - self.epoch)
        figures = [f"{key}={_mean(sub, key, window):.4g}" for key in _SHOWN if key in sub.stats]
        logging.info(
            f"{self.epoch}/{self.epochs}epoch:train:{batch}/{self.batches}batch: {', '.join(figures)}, "
            f"lr={rate:.3g}; remaining: {spell(to_epoch_end)} of this epoch, {spell(rest)} of the training"
        )
        if "train" in self.writers:
            sub.tensorboard_add_scalar(self.writers["train"], -window)
            self.logged = True

    def end_epoch(self, reporter: Reporter, improved: list[str]) -> None:
        """The epoch's figures are in the reporter."""
        if self.skip == 0:
            self.epoch_seconds.append(time.perf_counter() - self.started)
        if not self.writes:
            return
        logging.info(reporter.log_message())
        logging.info(f"best so far by {', '.join(improved)}" if improved else "no improvement in this epoch")
        for phase, writer in self.writers.items():
            if phase == "train":
                self._write_means(reporter, writer)
            else:
                reporter.tensorboard_add_scalar(writer, key1=phase)
            writer.flush()
        if self.curves and time.perf_counter() - self.plotted > PLOT_SECONDS:
            self.plot(reporter)

    def _write_means(self, reporter: Reporter, writer: Any) -> None:
        """Means of the epoch of training, under tags of their own.

        Among the values of the last batches they would be false points, most of all at the epoch's end, where
        both have the same step. An epoch without such values has its mean in their place, unless it was begun
        by an earlier run, which may have written some.
        """
        epoch = reporter.get_epoch()
        figures = reporter.stats[epoch]["train"]
        step = figures["total_count"]
        writer.add_scalar("iter_epoch", epoch, step)
        alone = not self.logged and self.skip == 0
        for key in reporter.get_keys2("train"):
            for tag in (EPOCH + key, key) if alone else (EPOCH + key,):
                writer.add_scalar(tag, figures[key], step)

    def plot(self, reporter: Reporter) -> None:
        """Draw every figure over the epochs into ``images/``; seconds of work, so not after every epoch."""
        if self.curves and reporter.get_epoch() in reporter.stats:
            directory = self.output_dir / "images"
            directory.mkdir(parents=True, exist_ok=True)
            phases = reporter.get_keys()
            for key in sorted({key for phase in phases for key in reporter.get_keys2(phase)} - _NOT_DRAWN):
                figure = reporter._plot_stats(
                    [phase for phase in phases if key in reporter.get_keys2(phase)], key
                )
                figure.savefig(directory / f"{key}.png")
                figure.close()
            self.plotted = time.perf_counter()

    def close(self) -> None:
        """Flush and close."""
        for writer in self.writers.values():
            writer.close()


def _mean(sub: SubReporter, key: str, window: int) -> float:
    from espnet2.train.reporter import aggregate

    return float(aggregate(sub.stats[key][-window:]))
