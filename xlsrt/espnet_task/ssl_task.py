"""`XlsrSslTask`: self-supervised training of an encoder on unlabelled audio, with ESPnet's task machinery."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from espnet2.tasks.abs_task import AbsTask
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction

from xlsrt.encoder import XlsrConfig
from xlsrt.encoder.checkpoints import load_pretrained, read_config, save_pretrained
from xlsrt.encoder.checkpoints.pretraining import load_heads
from xlsrt.errors import UserError
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.iterator import read_lengths
from xlsrt.espnet_task.options import add_task_arguments
from xlsrt.espnet_task.shared_task import SharedTask
from xlsrt.espnet_task.ssl_model import SslModel
from xlsrt.espnet_task.trainer import XlsrTrainer
from xlsrt.pretrain.best_rq import BestRq, BestRqConfig
from xlsrt.pretrain.contrastive import Contrastive, ContrastiveConfig
from xlsrt.pretrain.masked import MaskConfig
from xlsrt.pretrain.monitor import WATCHED, MonitorConfig
from xlsrt.transducer.training_conf import ENCODER_CONF, read_encoder_conf
from xlsrt.units import FRAME_SECONDS

OBJECTIVES = ("best_rq", "contrastive")
# Set for this training alone: the exported encoder has those of the encoder that it started from.
TRAINING_FIELDS = (
    *("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layer_drop"),
    *("mask_time_prob", "mask_time_length", "mask_channel_prob", "mask_channel_length"),
    *("freeze_feature_extractor", "freeze_encoder_updates", "gradient_checkpointing"),
)
_FIGURES = ("loss", *WATCHED)


class SslTrainer(XlsrTrainer):
    """The trainer of recognition; at the end the first rank exports the encoder."""

    @classmethod
    def run(cls, model: Any, optimizers: Any, schedulers: Any, *more: Any, **named: Any) -> None:
        """Train to the end, or until a signal asks to stop."""
        super().run(model, optimizers, schedulers, *more, **named)
        if model.encoder.rank == 0:
            export(model, named["trainer_options"])


def export(model: SslModel, options: Any) -> Path:
    """Write the averaged encoder as a Hugging Face directory ``<output_dir>/encoder``."""
    directory = Path(options.output_dir)
    phase, figure, _ = options.best_model_criterion[0]
    encoder = load_pretrained(directory / f"{phase}.{figure}.ave.pth")
    origin = model.encoder.pretrained
    if origin is not None:
        before = read_config(origin)
        encoder.config = encoder.config.replace(**{name: getattr(before, name) for name in TRAINING_FIELDS})
    about = {
        "adapted_from": origin or "random weights",
        "objective": type(model.objective).__name__,
        "train_context": model.encoder.train_context.to_dict(),
        "updates": model.num_updates,
    }
    found = save_pretrained(encoder, directory / "encoder", extra_metadata=about)
    logging.info(f"encoder written to {found}")
    return found


def objective_settings(
    args: argparse.Namespace,
) -> tuple[BestRqConfig | ContrastiveConfig, MaskConfig, MonitorConfig]:
    """What is learnt, what is hidden and what counts as collapse, as the options say."""
    kind: type[BestRqConfig] | type[ContrastiveConfig]
    # An empty `objective:` in a file is None.
    kind = ContrastiveConfig if args.objective == "contrastive" else BestRqConfig
    try:
        objective = kind.from_dict(args.objective_conf)
    except UserError as error:  # often keys of the other one, in a copied configuration
        raise UserError(f"objective {args.objective}: {error}") from None
    return objective, MaskConfig.from_dict(args.mask_conf), MonitorConfig.from_dict(args.monitor_conf)


def check_spans(shape_file: str, config: XlsrConfig, span: int) -> None:
    """Refuse spans that fit into no utterance, and tell of utterances that they do not fit into.

    Args:
        shape_file: samples of each utterance. span: frames.

    Raises:
        UserError: nothing would ever be masked, and nothing learnt.
    """
    lengths = [config.num_frames(samples) for samples in read_lengths(shape_file).values()]
    short = sum(length < span for length in lengths)
    if short == len(lengths):
        raise UserError(
            f"mask_conf.length is {span} frames ({span * FRAME_SECONDS:g} s), and the longest utterance of "
            f"{shape_file} has {max(lengths)}: nothing would be masked; shorten the spans"
        )
    if short:
        logging.warning(
            f"{short} of {len(lengths)} utterances are shorter than a masked span (mask_conf.length {span}): "
            "nothing is learnt from them"
        )


def contrastive_source(pretrained: str | None) -> str:
    """The checkpoint that the contrastive objective goes on with; a UserError where none is named."""
    if pretrained is None:
        raise UserError(
            "objective contrastive goes on with a checkpoint: name it in encoder_conf.pretrained, or "
            "train with objective: best_rq"
        )
    return pretrained


class XlsrSslTask(SharedTask, AbsTask):
    """Options, data and model of self-supervised training; the trainer is the one of recognition."""

    trainer = SslTrainer
    defaults: ClassVar[Mapping[str, Any]] = {
        "optim": "adamw",
        "batch_type": "numel",
        "resume": True,
        "num_att_plot": 0,
        "best_model_criterion": [("valid", "loss", "min")],
        "early_stopping_criterion": ("valid", "loss", "min"),
        "keep_nbest_models": [3],
    }
    figures: ClassVar[Mapping[str, Sequence[str]]] = {"train": _FIGURES, "valid": _FIGURES}

    @classmethod
    def figures_of(cls, args: argparse.Namespace) -> Mapping[str, Sequence[str]]:
        """With the two parts of the contrastive objective's loss, where it is that."""
        parts = ("loss_contrastive", "loss_diversity") if args.objective == "contrastive" else ()
        return {phase: (*names, *parts) for phase, names in cls.figures.items()}

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Our options."""
        add_task_arguments(parser)
        group = parser.add_argument_group("self-supervised training")
        group.add_argument(
            "--objective",
            choices=OBJECTIVES,
            default="best_rq",
            help="best_rq: for any encoder. contrastive: for a checkpoint that still has its quantiser",
        )
        for name, text in (
            ("encoder_conf", f"Of the encoder: {', '.join(ENCODER_CONF)}, as in recognition"),
            ("objective_conf", "Of the objective: see xlsrt/pretrain/best_rq.py and contrastive.py"),
            ("mask_conf", "What is hidden: prob, length (frames), fill (embedding, noise), noise_std"),
            (
                "monitor_conf",
                "What counts as collapse: after_updates, min_feature_std, min_code_use, min_accuracy_ratio",
            ),
        ):
            group.add_argument(f"--{name}", action=NestedDictAction, default={}, help=text)

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Any:
        """Zeros behind the shorter waveforms."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)

    @classmethod
    def build_preprocess_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]] | None:
        """Nothing is done to the waveform on the way."""
        return None

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """The waveform alone."""
        return ("speech",)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """None."""
        return ()

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> SslModel:
        """Build the model and resolve ``args``, so that config.yaml says what the encoder is."""
        conf = read_encoder_conf(args.encoder_conf)
        resumes = args.resume and (Path(args.output_dir) / "checkpoint.pth").exists()
        encoder = XlsrEspnetEncoder(input_size=1, load_weights=not resumes, seed=args.seed, **conf)
        args.encoder_conf = encoder.conf()
        objective: BestRq | Contrastive
        settings, mask, monitor = objective_settings(args)
        if isinstance(settings, BestRqConfig):
            objective = BestRq(encoder.xlsr, settings)
        else:
            source = contrastive_source(encoder.pretrained)
            objective = Contrastive(encoder.xlsr, load_heads(source), settings, source)
        if args.train_shape_file and not args.multiple_iterator:
            check_spans(args.train_shape_file[0], encoder.xlsr.config, mask.length)
        model = SslModel(encoder, objective, mask, monitor, args.seed)
        count = sum(parameter.numel() for parameter in encoder.parameters())
        logging.info(f"encoder of {count / 1e6:.2f} M parameters, {args.objective}, {encoder.train_context}")
        return model
