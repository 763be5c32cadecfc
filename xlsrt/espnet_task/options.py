"""What the trainer can be told beyond ESPnet's own options."""

from __future__ import annotations

import argparse
import dataclasses

from espnet2.train.trainer import TrainerOptions
from espnet2.utils.types import str2bool, str_or_none


@dataclasses.dataclass
class XlsrTrainerOptions(TrainerOptions):
    """ESPnet's options and ours (see `add_trainer_arguments`)."""

    cpu_amp: bool
    max_invalid_updates: int
    checkpoint_seconds: float
    keep_last_models: int


def add_trainer_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the trainer."""
    group = parser.add_argument_group("xlsrt trainer")
    group.add_argument(
        "--cpu_amp",
        type=str2bool,
        default=False,
        help="Compute in bfloat16 on a CPU that multiplies it; others, slower by it, take float32",
    )
    group.add_argument(
        "--max_invalid_updates",
        type=int,
        default=20,
        help="Stop with an error after this many updates in a row whose gradient is infinite or not a number",
    )
    group.add_argument(
        "--checkpoint_seconds",
        type=float,
        default=120.0,
        help="Save checkpoint.pth within an epoch whenever this many seconds have passed since the last time",
    )
    group.add_argument(
        "--keep_last_models",
        type=int,
        default=1,
        help="Keep the models of the last n epochs beside the best ones",
    )


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every task."""
    group = parser.add_argument_group("xlsrt")
    group.add_argument(
        "--encoder_lr_factor",
        type=float,
        default=1.0,
        help="Learning rate of the encoder as a multiple of the head's",
    )
    group.add_argument(
        "--layer_lr_decay",
        type=float,
        default=1.0,
        help="Factor on the learning rate from one encoder layer to the one below it",
    )
    group.add_argument(
        "--sharded",
        type=str2bool,
        default=False,
        help="Spread weights, gradients and optimiser state over the ranks (FSDP), for models of 1B and more",
    )
    group.add_argument(
        "--batch_multiple",
        type=int,
        default=1,
        help="Round the number of utterances in a training batch to a multiple of this: ranks times 2 gives "
        "each rank as many, in pairs; a batch may have up to that many more, one of fewer stays",
    )
    group.add_argument(
        "--epoch_share",
        type=float,
        default=1.0,
        help="Share of the training batches that an epoch takes; the next one goes on with others",
    )
    group.add_argument(
        "--curriculum_epochs",
        type=int,
        default=0,
        help="The first n epochs run from the shortest batch to the longest",
    )
    group.add_argument(
        "--language_balance",
        type=float,
        default=1.0,
        help="A language of n seconds among N gets a share of training as (n/N) to this power: 1 as they "
        "are, 0 equal; needs utt2lang in the dump",
    )


def add_init_from(parser: argparse.ArgumentParser) -> None:
    """``--init_from``."""
    parser.add_argument(
        "--init_from",
        type=str_or_none,
        default=None,
        help="Model file of an earlier stage to start from; it must cover the model completely",
    )
