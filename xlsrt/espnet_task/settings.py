"""Judge the settings of a training before there are data for it; run.sh asks before stage 1."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import read_config
from xlsrt.encoder.checkpoints.bundles import BUNDLES
from xlsrt.encoder.checkpoints.pretraining import load_heads
from xlsrt.errors import UserError
from xlsrt.espnet_task.augment import AugmentConfig
from xlsrt.espnet_task.encoder import contexts_of
from xlsrt.espnet_task.optim import check_frozen
from xlsrt.espnet_task.shared_task import SharedTask
from xlsrt.espnet_task.task import XlsrASRTask
from xlsrt.recipe.room import model_bytes
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.config import MODEL_KEYS
from xlsrt.transducer.training_conf import PREFIXES, ModelConfig, read_encoder_conf


def check_settings(settings: Mapping[str, Any], where: str) -> int:
    """Read ``settings`` as the training will, with stand-ins for what a corpus brings.

    Returns:
        Bytes that the training will leave on disk at least (`xlsrt.recipe.room.model_bytes`).
    Raises:
        UserError: an unknown option or key, or a value that its reader refuses; ``where`` names the settings.
    """
    try:
        args = _parsed(XlsrASRTask, settings, "--token_list", os.devnull)
        XlsrASRTask.check_required_command_args(args)
        encoder = _checked_encoder(args)
        config = ModelConfig.from_model_conf(args.model_conf, tuple(MODEL_KEYS))
        head = HeadConfig.from_espnet(vars(args), encoder.hidden_size, vocab_size=2)
        config.check_head(head)
        if args.freeze_param and _is_at_hand(args.encoder_conf.get("pretrained")):
            check_frozen(args.freeze_param, _parameters(encoder, head))
        return model_bytes(vars(args), encoder.least_parameters)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def check_ssl_settings(settings: Mapping[str, Any], where: str) -> int:
    """The same for the self-supervised training before them.

    Returns, raises:
        UserError: as `check_settings`.
    """
    # Imported where it is asked for: few runs adapt.
    from xlsrt.espnet_task.ssl_task import XlsrSslTask, contrastive_source, objective_settings

    try:
        args = _parsed(XlsrSslTask, settings)
        XlsrSslTask.check_required_command_args(args)
        encoder = _checked_encoder(args)
        objective_settings(args)
        if args.objective == "contrastive":
            load_heads(contrastive_source(read_encoder_conf(args.encoder_conf).get("pretrained")))
        return model_bytes(vars(args), encoder.least_parameters)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _checked_encoder(args: Any) -> XlsrConfig:
    encoder = read_encoder_conf(args.encoder_conf)
    contexts_of(encoder.get("train_context"), encoder.get("eval_context"))
    AugmentConfig.from_dict(encoder.get("augment"))
    return _encoder_config(encoder)


def _parsed(task: type[SharedTask], settings: Mapping[str, Any], *more: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.yaml"
        file.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
        options = [
            "--config",
            str(file),
            "--output_dir",
            folder,
            "--dry_run",
            "true",
            *more,
        ]
        try:
            return task.get_parser().parse_args(options)
        except UserError as error:
            raise UserError(str(error).replace(f" (from {file})", "")) from None


def _encoder_config(conf: Mapping[str, Any]) -> XlsrConfig:
    """The encoder's sizes, or those of the smallest where nothing on this disk tells them yet."""
    fields, pretrained = dict(conf.get("config") or {}), conf.get("pretrained")
    if not pretrained:
        return XlsrConfig.from_dict(fields)
    fields.pop("preset", None)
    if _is_at_hand(pretrained):
        return read_config(pretrained, **fields)
    return XlsrConfig.from_dict({"preset": "tiny", **fields})


def _is_at_hand(pretrained: str | None) -> bool:
    """Whether an encoder's sizes are known without a download."""
    return not pretrained or Path(pretrained).is_dir() or pretrained in BUNDLES


def _parameters(encoder: XlsrConfig, head: HeadConfig) -> list[str]:
    """The names of a model's parameters, which need no memory for that."""
    with torch.device("meta"):
        parts = {PREFIXES["encoder"]: XlsrEncoder(encoder), PREFIXES["head"]: TransducerHead(head)}
    return [prefix + name for prefix, part in parts.items() for name, _ in part.named_parameters()]
