"""`XlsrASRTask`: ESPnet's ASR task with the encoder `xlsr`, the model `xlsr_transducer` and our trainer.

Importing this module registers them in ESPnet's tables. A spawned worker unpickles `XlsrASRTask.main_worker`
and so imports it too.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import multiprocessing
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import espnet2.tasks.abs_task as abs_task
import espnet2.tasks.asr as asr
import torch
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from torch.multiprocessing import ProcessExitedException

from xlsrt.errors import UserError
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.init_from import load_init_from
from xlsrt.espnet_task.inputs import check_criteria, check_data_options, read_token_list
from xlsrt.espnet_task.iterator import ResumableIterFactory, read_lengths
from xlsrt.espnet_task.model import ModelConfig, XlsrTransducerModel
from xlsrt.espnet_task.optim import build_optimizer
from xlsrt.espnet_task.options import add_task_arguments
from xlsrt.espnet_task.schedulers import WarmupHoldDecay
from xlsrt.espnet_task.signals import forwarding_to_children
from xlsrt.espnet_task.trainer import XlsrTrainer
from xlsrt.transducer import HeadConfig, LstmPredictor, StatelessPredictor, TransducerHead
from xlsrt.transducer.config import _MODEL_KEYS

DEFAULTS: dict[str, Any] = {
    "model": "xlsr_transducer",
    "encoder": "xlsr",
    "decoder": "stateless",
    "joint_net_conf": {},
    "input_size": 1,
    "frontend": None,
    "normalize": None,
    "optim": "adamw",
    "batch_type": "numel",
    "resume": True,
    "num_att_plot": 0,
    "best_model_criterion": [("valid", "ter", "min")],
    "early_stopping_criterion": ("valid", "ter", "min"),
    "keep_nbest_models": [5],
}
# The waveform goes straight into the encoder, whose checkpoints bring their own front-end and masking.
UNUSED = ("frontend", "specaug", "normalize", "preencoder", "postencoder", "init")
ENCODER_CONF = ("config", "pretrained", "train_context", "eval_context", "augment")


def register() -> None:
    """Enter our classes into ESPnet's tables; doing it twice changes nothing."""
    asr.encoder_choices.classes["xlsr"] = XlsrEspnetEncoder
    asr.model_choices.classes["xlsr_transducer"] = XlsrTransducerModel
    asr.decoder_choices.classes["stateless"] = StatelessPredictor
    asr.decoder_choices.classes["lstm"] = LstmPredictor
    abs_task.scheduler_classes["warmupholddecay"] = WarmupHoldDecay


register()


class XlsrASRTask(asr.ASRTask):
    """Training of an XLSR-Transducer with ESPnet's options, data and batches."""

    trainer = XlsrTrainer

    @classmethod
    def get_parser(cls) -> Any:
        """ESPnet's parser with our defaults; a wrong option is one line, not two hundred."""
        parser = super().get_parser()
        parser.set_defaults(**DEFAULTS)
        parser.error = types.MethodType(_refuse, parser)
        return parser

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """ESPnet's and ours."""
        super().add_task_arguments(parser)
        add_task_arguments(parser)

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """Refuse what cannot work before anything is built."""
        if missing := [name for name in args.required if getattr(args, name) is None]:
            raise UserError(f"missing options: {', '.join(f'--{name}' for name in missing)}")
        if args.encoder != "xlsr" or args.model != "xlsr_transducer":
            raise UserError(
                f"encoder {args.encoder} with model {args.model}: this program trains `encoder: xlsr` with "
                "`model: xlsr_transducer`; ESPnet's own models are trained by `python -m "
                "espnet2.bin.asr_train`"
            )
        if given := [name for name in UNUSED if getattr(args, name, None) is not None]:
            raise UserError(
                f"{', '.join(given)}: not used by encoder xlsr, which reads the waveform; leave them out"
            )
        if args.ngpu == 0 and args.dist_backend == "nccl":
            args.dist_backend = "gloo"
        check_criteria(args)
        if not args.collect_stats and not args.dry_run:
            check_data_options(args)

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        """ESPnet's entry point; with spawned workers SIGTERM is handed on to them."""
        try:
            with forwarding_to_children():
                super().main(args=args, cmd=cmd)
        except ProcessExitedException as error:
            # The worker has said why it left.
            raise SystemExit(error.exit_code if error.exit_code > 0 else 128 - error.exit_code) from None

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """One training process, from its options to its end."""
        try:
            super().main_worker(args)
        except UserError as error:
            if multiprocessing.parent_process() is None:
                raise
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            # A rank that leaves with its group open can wait for the others for minutes.
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: Any) -> list[Any]:
        """One optimiser on our parameter groups."""
        if args.sharded_ddp:
            raise UserError("sharded_ddp is not supported; plain distributed training is")
        return [build_optimizer(args, model)]

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> XlsrTransducerModel:
        """Build the model and resolve ``args`` so that config.yaml says everything that decoding needs to
        know.
        """
        args.token_list = read_token_list(args.token_list)
        conf = dict(args.encoder_conf or {})
        if unknown := sorted(set(conf) - set(ENCODER_CONF)):
            raise UserError(
                f"encoder_conf: unknown keys {', '.join(unknown)}; known: {', '.join(ENCODER_CONF)}"
            )
        resumes = args.resume and (Path(args.output_dir) / "checkpoint.pth").exists()
        overwritten = resumes or args.init_from is not None
        encoder = XlsrEspnetEncoder(input_size=1, load_weights=not overwritten, seed=args.seed, **conf)
        args.encoder_conf = encoder.conf()
        config = ModelConfig.from_model_conf(args.model_conf or {}, tuple(_MODEL_KEYS))
        head = TransducerHead(HeadConfig.from_espnet(vars(args), encoder.output_size(), len(args.token_list)))
        model = XlsrTransducerModel(encoder, head, args.token_list, config)
        if args.init_from is not None and not resumes:
            load_init_from(model, Path(args.init_from), args.token_list)
        count = sum(parameter.numel() for parameter in model.parameters())
        logging.info(
            f"{count / 1e6:.2f} M parameters, {len(args.token_list)} tokens, training {encoder.train_context}"
        )
        return model

    @classmethod
    def build_sequence_iter_factory(cls, args: argparse.Namespace, iter_options: Any, mode: str) -> Any:
        """ESPnet's batches behind an iterator that can start within an epoch."""
        base = super().build_sequence_iter_factory(args, iter_options, mode)
        assert isinstance(base, SequenceIterFactory), type(base)
        if mode != "train" or not args.curriculum_epochs:
            return ResumableIterFactory(base)
        return ResumableIterFactory(base, read_lengths(args.train_shape_file[0]), args.curriculum_epochs)


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Stand-in for ``parser.error``: name the nearest known option."""
    known = [option.lstrip("-") for action in parser._actions for option in action.option_strings]
    words = message.partition("unrecognized arguments:")[2].split()
    near = difflib.get_close_matches(words[0].lstrip("-").split("=")[0], known, n=3) if words else []
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UserError(f"{message}{hint}")
