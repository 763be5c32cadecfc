"""Checkpoints of this recipe's experiments: a state dict with the encoder in it, config.yaml beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from xlsrt.encoder.checkpoints.checkpoint import Checkpoint
from xlsrt.errors import UserError
from xlsrt.tree import read_tree

CONFIG = "config.yaml"


def open_experiment(tensors: Mapping[str, Tensor], path: Path) -> Checkpoint:
    """The encoder inside the experiment's checkpoint ``path``; everything else in ``tensors`` is skipped."""
    return Checkpoint(str(path), "experiment", config_fields(path.parent), lambda: tensors)


def config_fields(directory: Path) -> dict[str, Any]:
    """The resolved encoder config that training wrote to config.yaml (``encoder_conf.config``)."""
    path = directory / CONFIG
    if not path.is_file():
        raise UserError(
            f"{path} is missing: an experiment's checkpoint needs the {CONFIG} that training wrote beside it"
        )
    conf = read_tree(path).get("encoder_conf")
    fields = conf.get("config") if isinstance(conf, Mapping) else None
    if not isinstance(fields, Mapping):
        raise UserError(f"{path} has no encoder_conf.config: it is not of an experiment of this recipe")
    return dict(fields)


def checkpoints_in(directory: Path) -> list[str]:
    """Names of the PyTorch files in an experiment's directory, for messages."""
    return sorted(path.name for path in directory.glob("*.pth"))
