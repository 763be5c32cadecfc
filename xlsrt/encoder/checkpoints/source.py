"""What a source is: told by its name and content, in one place, and opened by the reader of its family."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.encoder.checkpoints import hf, hub, keys
from xlsrt.encoder.checkpoints.bundles import BUNDLES, open_bundle, open_state_dict
from xlsrt.encoder.checkpoints.checkpoint import Checkpoint
from xlsrt.encoder.checkpoints.experiment import CONFIG as EXPERIMENT_CONFIG
from xlsrt.encoder.checkpoints.experiment import checkpoints_in, open_experiment
from xlsrt.encoder.checkpoints.fairseq import is_fairseq, open_fairseq
from xlsrt.encoder.checkpoints.unpickle import load_inert
from xlsrt.errors import UserError
from xlsrt.tensor_files import NotWeightsOnly, check_readable, read_torch, tensors_of

_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_KINDS = (
    f"a torchaudio bundle ({', '.join(BUNDLES)}), a directory with config.json and model.safetensors, a hub "
    "id owner/name, a fairseq .pt, a torchaudio .pth, or an experiment's .pth"
)


def open_source(source: str | os.PathLike[str], overrides: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that ``source`` names; what exists as a path is one, whatever else it could mean."""
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"the checkpoint must be a name or a path, not {source!r}; give {_KINDS}")
    name = os.fspath(source)
    if not name:
        raise UserError(f"the checkpoint's name is empty; give {_KINDS}")
    path = Path(name).expanduser()
    if path.is_dir():
        return _open_directory(path)
    if path.is_file():
        return _open_file(path, overrides)
    if name in BUNDLES:
        return open_bundle(name)
    if hub.is_hub_id(name) and path.suffix not in _TORCH_SUFFIXES:
        return hf.open_directory(hub.directory_of(name))
    close = difflib.get_close_matches(name.upper(), BUNDLES, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UserError(f"{name}: no such file or directory, nor a name that is known. {hint}Give {_KINDS}")


def _open_directory(path: Path) -> Checkpoint:
    if hf.is_directory(path):
        return hf.open_directory(path)
    if (path / EXPERIMENT_CONFIG).is_file():
        found = ", ".join(checkpoints_in(path)) or "none is there yet"
        raise UserError(f"{path} is an experiment: name the checkpoint in it ({found})")
    files = sorted(file.name for file in path.iterdir() if file.suffix in _TORCH_SUFFIXES)
    hint = f"If {', '.join(files[:3])} is a checkpoint, name the file itself" if files else f"Give {_KINDS}"
    raise UserError(f"{path} has no {hf.CONFIG}, so it is no checkpoint directory. {hint}")


def _open_file(path: Path, overrides: Mapping[str, Any]) -> Checkpoint:
    check_readable(path)
    if path.suffix == ".safetensors" or path.name.endswith(".index.json"):
        return _open_beside_config(path)
    if path.suffix not in _TORCH_SUFFIXES:
        raise UserError(
            f"{path}: weights are expected in .safetensors, {', '.join(_TORCH_SUFFIXES)}. Give {_KINDS}"
        )
    try:
        content = read_torch(path)
    except NotWeightsOnly as refusal:
        content = load_inert(path)
        if not is_fairseq(content):
            raise refusal from None
    if is_fairseq(content):
        return open_fairseq(content, path, overrides)
    tensors = tensors_of(_inner(content), path)
    if keys.is_experiment(tensors):
        return open_experiment(tensors, path)
    if keys.is_torchaudio(tensors):
        return open_state_dict(tensors, path, overrides)
    if keys.is_fairseq(tensors):
        return open_fairseq({"model": tensors}, path, overrides)
    return _open_beside_config(path)


def _inner(content: Any) -> Any:
    """The model of a trainer's checkpoint (``checkpoint.pth``: model, optimizers, ...); the rest as it is."""
    model = content.get("model") if isinstance(content, Mapping) else None
    return model if isinstance(model, Mapping) and keys.is_experiment(model) else content


def _open_beside_config(path: Path) -> Checkpoint:
    if not hf.is_directory(path.parent):
        raise UserError(
            f"{path}: its tensors carry no name that tells their architecture, and there is no {hf.CONFIG} "
            "beside it. Put the config.json that belongs to it into the same directory"
        )
    return hf.open_directory(path.parent, weights=path)
