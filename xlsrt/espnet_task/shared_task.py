"""What our ESPnet tasks share: trainer, options, checks, start and end of a training process."""

from __future__ import annotations

import argparse
import difflib
import gc
import itertools
import logging
import multiprocessing
import os
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import espnet2.tasks.abs_task as abs_task
import torch
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from torch.multiprocessing import ProcessExitedException

from xlsrt.errors import UserError
from xlsrt.espnet_task.audio_errors import TellingLoader
from xlsrt.espnet_task.balance import LanguageBalance, read_languages
from xlsrt.espnet_task.batches import build_batches, check_batches, epoch_batches
from xlsrt.espnet_task.gpus import check_gpus, local_rank
from xlsrt.espnet_task.inputs import (
    check_choices,
    check_criteria,
    check_data_options,
    check_numbers,
    check_ranges,
)
from xlsrt.espnet_task.iterator import ResumableIterFactory, SplitIterFactory, read_lengths
from xlsrt.espnet_task.optim import build_optimizer, check_frozen, check_optimizer
from xlsrt.espnet_task.schedulers import WarmupHoldDecay, check_schedule
from xlsrt.espnet_task.sharding import shard
from xlsrt.espnet_task.signals import forwarding_to_children
from xlsrt.espnet_task.trainer import XlsrTrainer
from xlsrt.processes import end_with_parent, say_if_killed

abs_task.scheduler_classes["warmupholddecay"] = WarmupHoldDecay

IDLE = ("use_wandb", "grad_noise", "no_forward_run", "nbest_averaging_interval", "ctc_conf", "ddp_comm_hook")
"""Options of ESPnet's trainer and models that ours do not read."""


class SharedTask(abs_task.AbsTask):
    """Mixed in before one of ESPnet's task classes.

    Attributes:
        defaults: of options. data_names: what a training must be given.
        figures: phase -> figures by which a model may be chosen.
    """

    trainer = XlsrTrainer
    defaults: ClassVar[Mapping[str, Any]] = {}
    data_names: ClassVar[Sequence[str]] = ("speech",)
    figures: ClassVar[Mapping[str, Sequence[str]]] = {}

    @classmethod
    def get_parser(cls) -> Any:
        """ESPnet's parser with our defaults; a wrong option is one line, not two hundred."""
        parser = super().get_parser()
        parser.set_defaults(**cls.defaults)
        parser.error = types.MethodType(_refuse, parser)
        return parser

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """Refuse what cannot work before anything is built."""
        if missing := [name for name in args.required if getattr(args, name) is None]:
            raise UserError(f"missing options: {', '.join(f'--{name}' for name in missing)}")
        cls.check_options(args)
        parser = cls.get_parser()
        check_choices(parser, args)
        check_numbers(parser, args)
        check_ranges(args)
        check_schedule(args)
        check_optimizer(args)
        check_batches(args)
        if args.init_param:
            raise UserError(
                "init_param would run whatever code lies in its file: give `init_from`, a checkpoint of this "
                "recipe, or `encoder_conf.pretrained`, an encoder"
            )
        changed = (name for name in IDLE if hasattr(args, name))
        if given := [name for name in changed if getattr(args, name) != parser.get_default(name)]:
            raise UserError(f"{', '.join(given)}: of no effect in this program; leave them out")
        if args.ngpu == 0 and args.dist_backend == "nccl":
            args.dist_backend = "gloo"
        args.dist_init_method = meeting_point(args.dist_init_method, os.environ)
        if args.sharded_ddp or args.use_deepspeed:
            raise UserError(
                "sharded_ddp and use_deepspeed replace the trainer that saves, resumes and stops; write "
                "`sharded: true` to spread a large model over the GPUs"
            )
        if args.multiple_iterator and args.curriculum_epochs:
            raise UserError(
                "curriculum_epochs looks at the whole training set, which multiple_iterator does not hold: "
                "use 0, or --num_splits_asr 1"
            )
        check_criteria(args, cls.figures_of(args))
        if not args.collect_stats and not args.dry_run:
            check_data_options(args, cls.data_names)

    @classmethod
    def figures_of(cls, args: argparse.Namespace) -> Mapping[str, Sequence[str]]:
        """The figures that a training with these options has."""
        return cls.figures

    @classmethod
    def check_options(cls, args: argparse.Namespace) -> None:
        """Checks of one task alone."""

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        """ESPnet's entry point; with spawned workers SIGTERM is handed on to them."""
        try:
            with forwarding_to_children():
                super().main(args=args, cmd=cmd)
        except ProcessExitedException as error:
            # The worker has said why it left, unless it was killed.
            say_if_killed(error.error_index, error.exit_code)
            raise SystemExit(error.exit_code if error.exit_code > 0 else 128 - error.exit_code) from None

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """One training process, from its options to its end."""
        end_with_parent()
        try:
            check_gpus(min(args.ngpu, 1))
            args.local_rank = local_rank(args.local_rank, args.dist_launcher, args.ngpu, os.environ)
            super().main_worker(args)
        except BaseException as error:
            # Its frames hold the loader, with which alone the workers end: they do not listen to signals, and
            # the interpreter would wait for them for ever.
            traceback.clear_frames(error.__traceback__)
            if not isinstance(error, UserError) or multiprocessing.parent_process() is None:
                raise
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            # A rank that leaves with its group open can wait for the others for minutes, and
            # DDP's reducer, which lives in reference cycles, would keep the group's threads to
            # the interpreter's end, which then aborts in one run of four.
            if torch.distributed.is_initialized():
                gc.collect()
                torch.distributed.destroy_process_group()
                gc.collect()

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: Any) -> list[Any]:
        """One optimiser on our parameter groups."""
        check_frozen(args.freeze_param, [name for name, _ in model.named_parameters()])
        if args.sharded:
            shard(model)
        return [build_optimizer(args, model)]

    @classmethod
    def build_multiple_iter_factory(cls, args: argparse.Namespace, distributed_option: Any, mode: str) -> Any:
        """ESPnet's factory for each split behind an iterator that can start within an epoch."""
        base = super().build_multiple_iter_factory(args, distributed_option, mode)
        return SplitIterFactory(base.build_funcs, base.seed, base.shuffle)

    @classmethod
    def build_dataset(
        cls, args: argparse.Namespace, iter_options: Any, keys_to_load: set[int | str] | None = None
    ) -> Any:
        """ESPnet's data set, which names the audio file that it cannot read."""
        dataset = super().build_dataset(args, iter_options, keys_to_load)
        for table, name, _ in iter_options.data_path_and_name_and_type:
            if name == "speech":
                dataset.loader_dict[name] = TellingLoader(dataset.loader_dict[name], table)
        return dataset

    @classmethod
    def build_sequence_iter_factory(cls, args: argparse.Namespace, iter_options: Any, mode: str) -> Any:
        """ESPnet's batches behind an iterator that can start within an epoch."""
        batches = build_batches(args, iter_options, mode)
        base = SequenceIterFactory(
            # Of this rank's utterances alone, as ESPnet does it: a large set's table is not held by each.
            dataset=cls.build_dataset(args, iter_options, set(itertools.chain(*batches))),
            batches=batches,
            seed=args.seed,
            num_iters_per_epoch=epoch_batches(args, iter_options, mode, len(batches)),
            shuffle=iter_options.train,
            shuffle_within_batch=args.shuffle_within_batch,
            num_workers=args.num_workers,
            collate_fn=iter_options.collate_fn,
            pin_memory=args.ngpu > 0,
        )
        balanced = args.language_balance < 1.0
        if mode != "train" or not (args.curriculum_epochs or balanced):
            return ResumableIterFactory(base)
        # Of the options, not of `args`: where the set is read in parts, these are the part's files.
        lengths = read_lengths(iter_options.shape_files[0])
        if not balanced:
            return ResumableIterFactory(base, lengths, args.curriculum_epochs)
        languages = read_languages(iter_options.data_path_and_name_and_type[0][0])
        balance = LanguageBalance(batches, lengths, languages, args.language_balance)
        shares = ", ".join(
            f"{name} {balance.shares[name]:.1%} -> {x:.1%}" for name, x in balance.wanted.items()
        )
        logging.info(f"shares of languages: {shares}")
        return ResumableIterFactory(base, lengths, args.curriculum_epochs, balance)


def meeting_point(init_method: str, environment: Mapping[str, str]) -> str:
    """Where the ranks meet. Of a job that Slurm has started again, a file of its own: in the first one's they
    would wait for dead ranks.
    """
    again = environment.get("SLURM_RESTART_COUNT", "0")
    return f"{init_method}.{again}" if init_method.startswith("file:") and again != "0" else init_method


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Stand-in for ``parser.error``: name the nearest known option."""
    known = [option.lstrip("-") for action in parser._actions for option in action.option_strings]
    words = message.partition("unrecognized arguments:")[2].split()
    near = difflib.get_close_matches(words[0].lstrip("-").split("=")[0], known, n=3) if words else []
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UserError(f"{message}{hint}")
