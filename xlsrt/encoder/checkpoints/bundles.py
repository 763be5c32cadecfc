"""torchaudio's pretrained bundles by name, and local files of its state dicts.

A bundle is fetched only because the user named it, once, into torch hub's cache, where torchaudio itself
looks for it.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xlsrt.encoder.checkpoints import keys
from xlsrt.encoder.checkpoints.checkpoint import Checkpoint
from xlsrt.encoder.checkpoints.shapes import architecture
from xlsrt.errors import UserError
from xlsrt.tensor_files import read_torch, tensors_of

#: torchaudio's bundles normalise with torch's layer_norm and its default.
INPUT_NORM_EPS = 1e-5
_TIMEOUT_SECONDS = 30
_BLOCK = 1 << 20


class Bundle(NamedTuple):
    """The file of a bundle (torchaudio.pipelines, ``_path``) and the config fields that describe it."""

    file: str
    fields: Mapping[str, Any]


_BASE: dict[str, Any] = {
    "preset": "xlsr_53",
    "conv_bias": False,
    "feat_extract_norm": "group",
    "hidden_size": 768,
    "num_layers": 12,
    "num_heads": 12,
    "ffn_size": 3072,
    "layer_norm_first": False,
    "input_norm": "none",
}

BUNDLES: dict[str, Bundle] = {
    "WAV2VEC2_XLSR53": Bundle("wav2vec2_fairseq_large_xlsr53.pth", {"preset": "xlsr_53"}),
    "WAV2VEC2_XLSR_300M": Bundle("wav2vec2_xlsr_300m.pth", {"preset": "xls_r_300m"}),
    "WAV2VEC2_XLSR_1B": Bundle("wav2vec2_xlsr_1b.pth", {"preset": "xls_r_1b"}),
    "WAV2VEC2_XLSR_2B": Bundle("wav2vec2_xlsr_2b.pth", {"preset": "xls_r_2b"}),
    "WAV2VEC2_LARGE_LV60K": Bundle("wav2vec2_fairseq_large_lv60k.pth", {"preset": "xlsr_53"}),
    "WAV2VEC2_BASE": Bundle("wav2vec2_fairseq_base_ls960.pth", _BASE),
}

_ADDRESS = "https://download.pytorch.org/torchaudio/models/"


def open_bundle(name: str) -> Checkpoint:
    """The bundle ``name``; its file is looked for, and if need be fetched, when tensors are read."""
    bundle = BUNDLES[name]

    def read() -> dict[str, Tensor]:
        path = fetch(bundle.file)
        return tensors_of(read_torch(path), path)

    fields = {"input_norm_eps": INPUT_NORM_EPS, **bundle.fields}
    return Checkpoint(f"torchaudio bundle {name}", "torchaudio", fields, read)


def open_state_dict(tensors: Mapping[str, Tensor], path: Path, overrides: Mapping[str, Any]) -> Checkpoint:
    """A file of torchaudio's ``model.state_dict()``; its architecture is read from names and shapes."""
    translate = keys.translator("torchaudio", tensors)
    shapes = {
        ours: tuple(tensor.shape) for name, tensor in tensors.items() if (ours := translate(name)) is not None
    }
    fields = architecture(shapes, str(path), overrides)
    fields["input_norm_eps"] = INPUT_NORM_EPS
    if fields["feat_extract_norm"] == "group":
        fields["input_norm"] = "none"
    return Checkpoint(str(path), "torchaudio", fields, lambda: tensors)


def cache_path(file: str) -> Path:
    """Where torch hub, and so torchaudio, keeps ``file``."""
    return Path(torch.hub.get_dir()) / "checkpoints" / file


def fetch(file: str) -> Path:
    """The path of ``file`` in the cache, fetched if it is not there.

    `UserError` naming address and place where there is no network.
    """
    path = cache_path(file)
    if path.exists():
        return path
    address = _ADDRESS + file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(address, path)
    except (OSError, urllib.error.URLError) as error:
        raise UserError(
            f"{address} cannot be fetched ({error}). Fetch it where there is a network and put it at {path}, "
            "or give the file's own path as the source"
        ) from None
    return path


def _download(address: str, path: Path) -> None:
    """Fetch to a temporary file beside ``path`` and rename: a broken transfer leaves nothing behind."""
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response:
        expected = response.headers.get("Content-Length")
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                while block := response.read(_BLOCK):
                    file.write(block)
                received = file.tell()
            if expected is not None and received != int(expected):
                raise OSError(f"the transfer ended after {received} of {expected} bytes")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
