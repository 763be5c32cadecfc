"""`XlsrASRTask`: ESPnet's ASR task with the encoder `xlsr`, the model `xlsr_transducer` and our trainer.

Importing this module registers them in ESPnet's tables. A spawned worker unpickles `XlsrASRTask.main_worker`
and so imports it too.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import espnet2.tasks.asr as asr

from xlsrt.errors import UserError
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.init_from import load_init_from
from xlsrt.espnet_task.inputs import FIGURES, read_token_list
from xlsrt.espnet_task.model import ModelConfig, XlsrTransducerModel
from xlsrt.espnet_task.options import add_init_from, add_task_arguments
from xlsrt.espnet_task.shared_task import SharedTask
from xlsrt.transducer import HeadConfig, LstmPredictor, StatelessPredictor, TransducerHead
from xlsrt.transducer.config import MODEL_KEYS
from xlsrt.transducer.training_conf import read_encoder_conf

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


def register() -> None:
    """Enter our classes into ESPnet's tables; doing it twice changes nothing."""
    asr.encoder_choices.classes["xlsr"] = XlsrEspnetEncoder
    asr.model_choices.classes["xlsr_transducer"] = XlsrTransducerModel
    asr.decoder_choices.classes["stateless"] = StatelessPredictor
    asr.decoder_choices.classes["lstm"] = LstmPredictor


register()


class XlsrASRTask(SharedTask, asr.ASRTask):
    """Training of an XLSR-Transducer with ESPnet's options, data and batches."""

    defaults = DEFAULTS
    data_names = ("speech", "text")
    figures = FIGURES

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """ESPnet's and ours."""
        super().add_task_arguments(parser)
        add_task_arguments(parser)
        add_init_from(parser)

    @classmethod
    def check_options(cls, args: argparse.Namespace) -> None:
        """What this task cannot do is refused by name."""
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

    @classmethod
    def figures_of(cls, args: argparse.Namespace) -> Mapping[str, Sequence[str]]:
        """Without those of a CTC branch that there is not, with that of the pruned loss's simple joint."""
        head = HeadConfig.from_espnet(vars(args), encoder_size=1, vocab_size=2)
        more = ("loss_simple",) if head.loss == "pruned" else ()
        return {
            phase: (*(name for name in names if head.ctc_weight or not name.endswith("_ctc")), *more)
            for phase, names in cls.figures.items()
        }

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> XlsrTransducerModel:
        """Build the model and resolve ``args`` so that config.yaml says everything that decoding needs to
        know.
        """
        args.token_list = read_token_list(args.token_list)
        conf = read_encoder_conf(args.encoder_conf)
        resumes = args.resume and (Path(args.output_dir) / "checkpoint.pth").exists()
        overwritten = resumes or args.init_from is not None
        encoder = XlsrEspnetEncoder(input_size=1, load_weights=not overwritten, seed=args.seed, **conf)
        args.encoder_conf = encoder.conf()
        config = ModelConfig.from_model_conf(args.model_conf, tuple(MODEL_KEYS))
        head = TransducerHead(HeadConfig.from_espnet(vars(args), encoder.output_size(), len(args.token_list)))
        model = XlsrTransducerModel(encoder, head, args.token_list, config)
        if args.init_from is not None and not resumes:
            load_init_from(model, Path(args.init_from), args.token_list)
        count = sum(parameter.numel() for parameter in model.parameters())
        logging.info(
            f"{count / 1e6:.2f} M parameters, {len(args.token_list)} tokens, training {encoder.train_context}"
        )
        return model
