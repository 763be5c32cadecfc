"""ESPnet's trainer with our run: see `TrainingRun`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from espnet2.train.trainer import Trainer
from espnet2.utils.build_dataclass import build_dataclass

from xlsrt.errors import UserError
from xlsrt.espnet_task.iterator import ResumableIterFactory, SplitIterFactory
from xlsrt.espnet_task.options import XlsrTrainerOptions, add_trainer_arguments
from xlsrt.espnet_task.trained_model import TrainedModel
from xlsrt.espnet_task.training_run import TrainingRun


class XlsrTrainer(Trainer):
    """Atomic checkpoints, resuming within an epoch, signals, a limit on broken updates, error rates."""

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the trainer's options to ESPnet's."""
        add_trainer_arguments(parser)

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> XlsrTrainerOptions:
        """The options that `run` reads."""
        return build_dataclass(XlsrTrainerOptions, args)

    @classmethod
    def run(
        cls,
        model: Any,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[Any],
        train_iter_factory: Any,
        valid_iter_factory: Any,
        plot_attention_iter_factory: Any,
        trainer_options: Any,
        distributed_option: Any,
    ) -> None:
        """Train to the end, or until a signal asks to stop."""
        assert isinstance(model, TrainedModel), type(model)
        for factory in (train_iter_factory, valid_iter_factory):
            if not isinstance(factory, ResumableIterFactory | SplitIterFactory):
                raise UserError(
                    "iterator_type must be sequence: resuming within an epoch needs a known order"
                )
        if plot_attention_iter_factory is not None:
            raise UserError(
                "num_att_plot must be 0: attention is drawn by `python -m xlsrt.bin.plot_attention`"
            )
        run = TrainingRun(
            model=model,
            optimizer=optimizers[0],
            scheduler=schedulers[0],
            train=train_iter_factory,
            valid=valid_iter_factory,
            options=trainer_options,
            distributed=distributed_option,
        )
        run.train_all()
