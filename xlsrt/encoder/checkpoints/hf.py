"""Hugging Face directories: config.json with model.safetensors or pytorch_model.bin, whole or sharded.

`Wav2Vec2Model`, `Wav2Vec2ForPreTraining` and `Wav2Vec2ForCTC` are read alike: the encoder's part of them. Our
own exports are such directories with one more key in config.json, `OWN_KEY`, that holds the full
`XlsrConfig`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from xlsrt.encoder.checkpoints.checkpoint import Checkpoint
from xlsrt.encoder.checkpoints.files import read_json, read_shards
from xlsrt.encoder.config import XlsrConfig
from xlsrt.errors import UserError
from xlsrt.tensor_files import read_weights
from xlsrt.units import SAMPLE_RATE

#: Under this key of config.json our exports keep what Hugging Face has no field for.
OWN_KEY = "xlsrt"
#: The epsilon of Hugging Face's Wav2Vec2FeatureExtractor (zero_mean_unit_var_norm).
INPUT_NORM_EPS = 1e-7

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
#: Files that may hold the weights, best first: a safetensors file cannot hold code.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

#: Our field, Hugging Face's, and the value of its class where config.json leaves it out (Wav2Vec2Config).
FIELDS: tuple[tuple[str, str, Any], ...] = (
    ("conv_dim", "conv_dim", (512,) * 7),
    ("conv_kernel", "conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
    ("conv_stride", "conv_stride", (5, 2, 2, 2, 2, 2, 2)),
    ("conv_bias", "conv_bias", False),
    ("feat_extract_norm", "feat_extract_norm", "group"),
    ("hidden_size", "hidden_size", 768),
    ("num_layers", "num_hidden_layers", 12),
    ("num_heads", "num_attention_heads", 12),
    ("ffn_size", "intermediate_size", 3072),
    ("pos_conv_kernel", "num_conv_pos_embeddings", 128),
    ("pos_conv_groups", "num_conv_pos_embedding_groups", 16),
    ("layer_norm_first", "do_stable_layer_norm", False),
    ("layer_norm_eps", "layer_norm_eps", 1e-5),
    ("hidden_dropout", "hidden_dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.1),
    ("feat_proj_dropout", "feat_proj_dropout", 0.0),
    ("layer_drop", "layerdrop", 0.1),
    ("mask_time_prob", "mask_time_prob", 0.05),
    ("mask_time_length", "mask_time_length", 10),
    ("mask_channel_prob", "mask_feature_prob", 0.0),
    ("mask_channel_length", "mask_feature_length", 10),
)
_MASK_PROBS = ("mask_time_prob", "mask_channel_prob")


def is_directory(path: Path) -> bool:
    """Whether ``path`` is a directory with a config.json."""
    return (path / CONFIG).is_file()


def open_directory(directory: Path, weights: Path | None = None) -> Checkpoint:
    """The checkpoint in ``directory``; its weights are ``weights`` or the first of `WEIGHTS` found there."""
    content = read_json(directory / CONFIG)
    own = content.get(OWN_KEY)
    fields = _own_fields(own, directory) if own is not None else config_fields(content, directory)
    return Checkpoint(str(weights or directory), "hf", fields, partial(_read, directory, weights))


def config_fields(content: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Fields of `XlsrConfig` from the ``content`` of config.json and from preprocessor_config.json."""
    path = directory / CONFIG
    kind = content.get("model_type", "wav2vec2")
    if kind != "wav2vec2":
        raise UserError(
            f'{path}: model_type is "{kind}"; only "wav2vec2" encoders can be loaded (XLSR, XLS-R, MMS)'
        )
    if content.get("adapter_attn_dim") is not None:
        raise UserError(
            f"{path}: adapter_attn_dim is {content['adapter_attn_dim']}: this model has language adapters "
            "inside every layer, which this encoder has not. Take the one that it was made from "
            "(facebook/mms-1b, facebook/mms-300m)"
        )
    if content.get("add_adapter"):
        raise UserError(
            f"{path}: add_adapter is true: convolutions above the encoder shorten this model's output, "
            "which ours has not. Take the model that it was made from"
        )
    for name in ("hidden_act", "feat_extract_activation"):
        if content.get(name, "gelu") != "gelu":
            raise UserError(f'{path}: {name} is "{content[name]}"; this encoder has "gelu" only')
    fields = {ours: content.get(theirs, default) for ours, theirs, default in FIELDS}
    if not content.get("apply_spec_augment", True):
        fields.update(dict.fromkeys(_MASK_PROBS, 0.0))
    fields["input_norm_eps"] = INPUT_NORM_EPS
    if not _normalises(directory):
        fields["input_norm"] = "none"
    return fields


def config_content(config: XlsrConfig, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json of an export: what Hugging Face reads, and our own under `OWN_KEY`."""
    ours = config.to_dict()
    content: dict[str, Any] = {"architectures": ["Wav2Vec2Model"], "model_type": "wav2vec2"}
    for name, theirs, default in FIELDS:
        content[theirs] = ours[name]
        if name == "mask_time_prob" and not any(ours[prob] for prob in _MASK_PROBS):
            # Hugging Face has the mask's embedding only where a probability is positive; the switch beside it
            # turns masking off: what is saved here loads there without a word about a tensor too many.
            content[theirs] = default
            content["apply_spec_augment"] = False
    content["hidden_act"] = content["feat_extract_activation"] = "gelu"
    content[OWN_KEY] = {"format": 1, "config": ours, "metadata": dict(metadata)}
    return content


def preprocessor_content(config: XlsrConfig) -> dict[str, Any]:
    """The preprocessor_config.json of an export (Wav2Vec2FeatureExtractor)."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "do_normalize": config.input_norm != "none",
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": config.feat_extract_norm == "layer",
        "sampling_rate": SAMPLE_RATE,
    }


def _own_fields(own: Any, directory: Path) -> dict[str, Any]:
    fields = own.get("config") if isinstance(own, Mapping) else None
    if not isinstance(fields, Mapping):
        raise UserError(f'{directory / CONFIG}: "{OWN_KEY}" has no "config": export the encoder again')
    if own.get("format") != 1:
        raise UserError(
            f'{directory / CONFIG}: "{OWN_KEY}" is of format {own.get("format")}, this version reads format 1'
        )
    return dict(fields)


def _normalises(directory: Path) -> bool:
    path = directory / PREPROCESSOR
    if not path.is_file():
        return True
    content = read_json(path)
    rate = content.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UserError(f"{path}: sampling_rate is {rate}; encoders here take 16000 Hz")
    return bool(content.get("do_normalize", True))


def _read(directory: Path, weights: Path | None) -> dict[str, Tensor]:
    path = weights or find_weights(directory)
    reader: Callable[[Path], dict[str, Tensor]] = read_shards if path.suffix == ".json" else read_weights
    return reader(path)


def find_weights(directory: Path) -> Path:
    """The file of weights in ``directory``, best kind first; `UserError` where there is none."""
    for name in WEIGHTS:
        if (directory / name).exists():
            return directory / name
    raise UserError(f"{directory} has {CONFIG} but none of {', '.join(WEIGHTS)}: put one of them there")
