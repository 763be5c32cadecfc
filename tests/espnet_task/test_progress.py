"""What a training writes for TensorBoard, as the report reads it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from espnet2.train.reporter import Reporter

from xlsrt.espnet_task.progress import Progress
from xlsrt.report.training import read_scalars


def train(path: Path, epochs: Sequence[Sequence[float]], window: int) -> None:
    """Epochs of so many batches with these losses."""
    reporter = Reporter()
    progress = Progress(path, 9, writes=True, tensorboard=True, curves=False)
    for epoch, losses in enumerate(epochs, 1):
        reporter.set_epoch(epoch)
        with reporter.observe("train") as sub:
            progress.start_epoch(epoch, len(losses), 0)
            for number, loss in enumerate(losses, 1):
                sub.register({"loss": loss})
                sub.next()
                if number % window == 0:
                    progress.log_updates(sub, number, window, 0.1)
        with reporter.observe("valid") as sub:
            sub.register({"loss": losses[-1]})
            sub.next()
        progress.end_epoch(reporter, [])
    progress.close()


def test_means_of_epochs_are_no_points_of_the_curve(tmp_path: Path) -> None:
    train(tmp_path, [[8.0, 4.0, 2.0, 1.0], [1.0, 1.0, 0.5]], window=2)
    found = read_scalars(tmp_path)
    # 3.75 and 0.8333 are means over epochs: where an epoch ends, the curve has its last interval.
    assert found["train", "loss"] == [(2, 6.0), (4, 1.5), (6, 1.0)]
    assert found["train", "epoch/loss"] == [(4, 3.75), (7, pytest.approx(2.5 / 3))]
    assert found["train", "iter_epoch"] == [(4, 1), (7, 2)]
    assert found["valid", "loss"] == [(4, 1.0), (7, 0.5)]


def test_an_epoch_without_intervals_has_its_mean(tmp_path: Path) -> None:
    train(tmp_path, [[3.0, 1.0], [1.0, 0.0, 0.5]], window=3)
    assert read_scalars(tmp_path)["train", "loss"] == [(2, 2.0), (5, 0.5)]


def test_the_mean_of_a_resumed_epoch_stands_beside(tmp_path: Path) -> None:
    """Its first intervals were written by the run before."""
    reporter = Reporter()
    reporter.set_epoch(1)
    progress = Progress(tmp_path, 1, writes=True, tensorboard=True, curves=False)
    with reporter.observe("train") as sub:
        progress.start_epoch(1, 3, 0)
        for loss in (3.0, 1.0):
            sub.register({"loss": loss})
            sub.next()
        progress.log_updates(sub, 2, 2, 0.1)
        progress.close()
        progress = Progress(tmp_path, 1, writes=True, tensorboard=True, curves=False)
        progress.start_epoch(1, 3, 2)
        sub.register({"loss": 5.0})
        sub.next()
    with reporter.observe("valid") as sub:
        sub.register({"loss": 1.0})
        sub.next()
    progress.end_epoch(reporter, [])
    progress.close()
    found = read_scalars(tmp_path)
    assert found["train", "loss"] == [(2, 2.0)] and found["train", "epoch/loss"] == [(3, 3.0)]


def test_only_the_first_rank_writes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(tmp_path, 1, writes=False, tensorboard=True, curves=True)
    with caplog.at_level(logging.INFO):
        progress.start_epoch(1, 2, 0)
        progress.end_epoch(Reporter(), [])
    assert not caplog.records and not list(tmp_path.iterdir())
