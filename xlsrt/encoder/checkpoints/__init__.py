"""Checkpoints: wav2vec 2.0 weights of every family into our encoder, and back out in Hugging Face's layout.

One file each: what a source is (`source`), Hugging Face directories and our exports (`hf`), hub ids (`hub`),
torchaudio (`bundles`), fairseq (`fairseq`, `unpickle`), our experiments (`experiment`), names (`keys`), what
shapes tell (`shapes`), JSON and shards (`files`), filling an encoder (`checkpoint`), saving (`export`). A new
family is one reader, its names in `keys`, one line in `source`, and a round-trip test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from xlsrt.encoder.checkpoints import hf, hub
from xlsrt.encoder.checkpoints.bundles import BUNDLES, fetch
from xlsrt.encoder.checkpoints.checkpoint import build, check_overrides, fill
from xlsrt.encoder.checkpoints.export import save_pretrained
from xlsrt.encoder.checkpoints.files import check_weights
from xlsrt.encoder.checkpoints.source import open_source
from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.encoder import XlsrEncoder

__all__ = ["check_source", "load_pretrained", "read_config", "save_pretrained"]


def load_pretrained(source: str | os.PathLike[str], **overrides: Any) -> XlsrEncoder:
    """An encoder with the weights of ``source``, in float32 on the CPU, in evaluation mode.

    Args:
        source: a torchaudio bundle's name (fetched if it is not in torch hub's cache), a Hugging Face
            directory or hub id, a fairseq ``.pt``, a torchaudio ``.pth``, one of our exports, or an
            experiment's ``.pth``.
        overrides: fields of `XlsrConfig` that replace the checkpoint's. ``input_norm`` is ``causal`` unless
            the checkpoint takes raw waveforms or is an export that says otherwise; its epsilon is the
            checkpoint's.

    Raises `UserError` for a source that cannot be had, read or understood, and for tensors that are missing,
    unexpected, of another shape or not finite. No code of a file is run.
    """
    check_overrides(overrides)
    checkpoint = open_source(source, overrides)
    encoder = build(checkpoint.config(overrides))
    fill(encoder, checkpoint)
    encoder.weights_are_pretrained = True
    return encoder.eval()


def read_config(source: str | os.PathLike[str], **overrides: Any) -> XlsrConfig:
    """The config that `load_pretrained` would use; no tensors are read or fetched where a config tells it."""
    check_overrides(overrides)
    return open_source(source, overrides).config(overrides)


def check_source(source: str | os.PathLike[str], **overrides: Any) -> None:
    """Raise the `UserError` that `load_pretrained` would raise, as far as it can be told without reading the
    tensors. What has to be fetched is fetched.
    """
    read_config(source, **overrides)
    name, path = os.fspath(source), Path(source).expanduser()
    if path.is_dir():
        check_weights(hf.find_weights(path))
    elif path.exists():
        if path.suffix in (".safetensors", ".json"):  # any other file has been opened already
            check_weights(path)
    elif name in BUNDLES:
        check_weights(fetch(BUNDLES[name].file))
    else:
        check_weights(hf.find_weights(hub.directory_of(name)))
