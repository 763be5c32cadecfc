"""Saving an encoder as a Hugging Face directory, which others load and which loads here with nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from xlsrt.encoder.checkpoints.hf import CONFIG, PREPROCESSOR, WEIGHTS, config_content, preprocessor_content
from xlsrt.encoder.encoder import XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.files import atomic_open, atomic_path

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def save_pretrained(
    encoder: XlsrEncoder,
    directory: str | Path,
    dtype: torch.dtype | str | None = None,
    extra_metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``encoder`` to ``directory`` as config.json, preprocessor_config.json and model.safetensors.

    Args:
        dtype: float32, float16 or bfloat16 (or its name) to store; None keeps the encoder's own. Loading
            gives float32.
        extra_metadata: anything JSON can hold, kept in config.json under ``xlsrt.metadata``.

    Returns the directory. `UserError` where it cannot be written, or where a value does not fit the dtype; an
    export that was there before stays whole then.
    """
    directory = Path(directory)
    tensors = {name: _stored(name, tensor, _dtype(dtype)) for name, tensor in encoder.state_dict().items()}
    content = config_content(encoder.config, extra_metadata or {})
    content["torch_dtype"] = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    texts = _json(content), _json(preprocessor_content(encoder.config))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # The files get their names when all are written. The config, opened first, comes last: a directory
        # that has one is complete.
        with (
            atomic_open(directory / CONFIG) as config,
            atomic_path(directory / WEIGHTS[0]) as weights,
            atomic_open(directory / PREPROCESSOR) as preprocessor,
        ):
            for stream, text in zip((config, preprocessor), texts, strict=True):
                stream.write(text)
                stream.flush()
            save_file(tensors, weights, metadata={"format": "pt"})
            # safetensors lets nobody else read its file: as readable as its neighbour.
            shutil.copymode(config.name, weights)
            (directory / CONFIG).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write an export to {directory}: {error}") from None
    return directory


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    if dtype is None:
        return None
    chosen = DTYPES.get(str(dtype).removeprefix("torch."))
    if chosen is None:
        raise UserError(f"dtype {dtype} cannot be exported: choose one of {', '.join(DTYPES)}")
    return chosen


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    # Cloned, because safetensors refuses tensors that share memory, and never an alias of a parameter being
    # trained.
    stored = tensor.detach().to(device="cpu", dtype=dtype or tensor.dtype, copy=True).contiguous()
    if not torch.isfinite(stored).all():
        raise UserError(
            f"{name} holds values that are not finite as {stored.dtype}: export it as float32, or look for "
            "NaN"
        )
    return stored


def _json(content: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        text.encode()  # half a pair of surrogates is text that no file takes
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"extra_metadata must be what JSON can hold: {error}") from None
    return text
