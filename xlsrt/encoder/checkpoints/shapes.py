"""The architecture that a state dict shows by its names and shapes, for files that come without a config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xlsrt.errors import UserError

#: Attention heads cannot be read from shapes: those of the published wav2vec 2.0 models, by hidden size.
HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16}
#: Nor can strides: those of every published model, by the kernels they go with.
STRIDES: dict[tuple[int, ...], tuple[int, ...]] = {(10, 3, 3, 3, 3, 2, 2): (5, 2, 2, 2, 2, 2, 2)}

Shapes = Mapping[str, Sequence[int]]


def architecture(shapes: Shapes, source: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `XlsrConfig` from tensor ``shapes`` under our names.

    ``known`` are fields that are known from elsewhere (the file's own config, the caller's overrides); what
    shapes cannot tell, heads, strides and the place of the layer norms, is taken from there or from the
    published models. `UserError` where it cannot be told at all.
    """
    dims, kernels, bias, norms = _convolutions(shapes, source)
    hidden = _shape(shapes, "feature_projection.projection.weight", source)[0]
    position = _shape(shapes, "encoder.pos_conv_embed.conv.parametrizations.weight.original1", source)
    layers = {int(match[1]) for name in shapes if (match := re.match(r"encoder\.layers\.(\d+)\.", name))}
    norm = "layer" if norms > 1 else "group"
    return {
        "conv_dim": dims,
        "conv_kernel": kernels,
        "conv_stride": _told("conv_stride", STRIDES.get(kernels), known, source, f"kernels {kernels}"),
        "conv_bias": bias,
        "feat_extract_norm": norm,
        "hidden_size": hidden,
        # Where the last layers are missing, names alone would show a smaller model.
        "num_layers": known.get("num_layers", max(layers, default=-1) + 1),
        "num_heads": _told("num_heads", HEADS.get(hidden), known, source, f"hidden size {hidden}"),
        "ffn_size": _shape(shapes, "encoder.layers.0.feed_forward.intermediate_dense.weight", source)[0],
        "pos_conv_kernel": position[2],
        "pos_conv_groups": hidden // position[1],
        # Names and shapes are the same for both; every published pre-norm model has a layer-norm extractor.
        "layer_norm_first": known.get("layer_norm_first", norm == "layer"),
    }


def _convolutions(shapes: Shapes, source: str) -> tuple[tuple[int, ...], tuple[int, ...], bool, int]:
    """Channels, kernels, whether there are biases, and how many of the convolutions have a norm."""
    stem = "feature_extractor.conv_layers.{}.{}"
    weights: list[tuple[int, ...]] = []
    while (name := stem.format(len(weights), "conv.weight")) in shapes:
        weights.append(_shape(shapes, name, source))
    if not weights or any(len(weight) != 3 for weight in weights):
        raise UserError(
            f"{source}: no feature extractor (conv_layers.0.conv.weight) in it: not a wav2vec 2.0 encoder"
        )
    norms = sum(stem.format(i, "layer_norm.weight") in shapes for i in range(len(weights)))
    dims, kernels = tuple(weight[0] for weight in weights), tuple(weight[2] for weight in weights)
    return dims, kernels, stem.format(0, "conv.bias") in shapes, norms


def _shape(shapes: Shapes, name: str, source: str) -> tuple[int, ...]:
    if name not in shapes:
        raise UserError(
            f"{source}: the tensor {name} is missing, so this is not a complete wav2vec 2.0 encoder"
        )
    return tuple(shapes[name])


def _told(field: str, published: Any, known: Mapping[str, Any], source: str, what: str) -> Any:
    value = known.get(field, published)
    if value is None:
        raise UserError(
            f"{source}: {field} cannot be told from tensors with {what}: give it as an override, {field}=..."
        )
    return value
