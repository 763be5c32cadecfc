"""Reading tensors from files without running code of theirs: safetensors; PyTorch with ``weights_only``."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from xlsrt.errors import UserError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REFUSED = re.compile(r"(Unsupported|GLOBAL|Trying to call)(?:(?! Please use)[^\n]){0,100}")
_LFS_MARK = b"version https://git-lfs"


class NotWeightsOnly(UserError):
    """A PyTorch file whose pickle holds more than tensors and plain containers."""


def check_readable(path: Path) -> None:
    """Refuse what is there in name only: no file, an empty one, a Git LFS pointer instead of the weights."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(len(_LFS_MARK))
    if not head:
        raise UserError(f"{path} is empty: fetch it again")
    if head == _LFS_MARK:
        raise UserError(
            f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` there, or fetch the file "
            "itself"
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from ``path``; `UserError` where it is not one."""
    check_readable(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): fetch it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a JSON {type(content).__name__}, expected an object")
    return content


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file by name."""
    check_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise _damaged(path, error) from None


def read_torch(path: Path) -> Any:
    """What ``torch.load`` gives with ``weights_only=True``; `NotWeightsOnly` where the pickle wants more."""
    check_readable(path)
    is_archive = zipfile.is_zipfile(path)
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise UserError(
                    f"{path} is a TorchScript archive, which holds code: use the model it was made from"
                )
    try:
        # Archives are mapped: a config read from shapes costs no reading of tensors, and loading no second
        # copy.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as error:
        if not is_archive and not _is_pickle(path):
            raise _damaged(path, error) from None
        raise NotWeightsOnly(
            f"{path}: its pickle holds objects other than tensors, which are not loaded because unpickling "
            f"them can run code ({first_line(error)}). Use a .safetensors version, or re-save its state "
            "dict alone with torch.save"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AssertionError) as error:
        raise _damaged(path, error) from None


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles of torch's do; a page of a web server does not."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of one file, safetensors or PyTorch by its name."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    return tensors_of(read_torch(path), path)


def check_weights(path: Path) -> None:
    """Refuse a file of weights, or one of its shards, that is missing or cut off; tensors are not read."""
    if path.suffix == ".json":
        for shard in set(_weight_map(path).values()):
            check_weights(path.parent / shard)
    elif path.suffix == ".safetensors":
        check_readable(path)
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise _damaged(path, error) from None
    else:
        read_torch(path)


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor names and the file of each, from a ``*.index.json``."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise UserError(f'{index} has no "weight_map" from tensor names to file names: fetch it again')
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise UserError(f"{index} names the shard {shard!r}: shards must lie in the same directory")
    return weight_map


def read_shards(index: Path) -> dict[str, Tensor]:
    """Tensors of a sharded checkpoint by its ``*.index.json``, each from the shard that the index names."""
    weight_map = _weight_map(index)
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        wanted = {name for name, file in weight_map.items() if file == shard}
        content = read_weights(index.parent / shard)
        absent = sorted(wanted - content.keys())
        if absent:
            raise UserError(
                f"{index.parent / shard} lacks {len(absent)} tensors that the index promises: {absent[:5]}"
            )
        tensors.update((name, content[name]) for name in wanted)
    return tensors


def tensors_of(content: Any, path: Path) -> dict[str, Tensor]:
    """``content`` as a flat dict of tensors; `UserError` where it is anything else."""
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, expected a state dict: names with tensors")
    odd = [
        str(name)
        for name, value in content.items()
        if not isinstance(name, str) or not isinstance(value, Tensor)
    ]
    if odd:
        raise UserError(f"{path} is not a state dict: {odd[:5]} are not tensors")
    return dict(content)


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} ({path.stat().st_size} bytes) cannot be read, it is damaged, cut off or of another format: "
        f"fetch it again ({first_line(error)})"
    )


def first_line(error: Exception) -> str:
    """What an error says, without PyTorch's advice to let files run code."""
    text = _COLOURS.sub("", str(error)).strip()
    if refused := _REFUSED.search(text):  # PyTorch's advice before it is to switch the check off
        return refused.group(0)
    return text.splitlines()[0][:200] if text else type(error).__name__
