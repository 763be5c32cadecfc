"""The files around weights as Hugging Face lays them out: JSON, and checkpoints in several shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.tensor_files import check_readable, check_safetensors, read_torch, read_weights


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


def check_weights(path: Path) -> None:
    """Refuse a file of weights, or one of its shards, that is missing or cut off; tensors are not read."""
    if path.suffix == ".json":
        for shard in set(_weight_map(path).values()):
            check_weights(path.parent / shard)
    elif path.suffix == ".safetensors":
        check_safetensors(path)
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
