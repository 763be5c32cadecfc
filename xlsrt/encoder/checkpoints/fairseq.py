"""fairseq's wav2vec 2.0 files: ``model`` holds the tensors, ``cfg`` or ``args`` the training options.

The options may be an argparse namespace, omegaconf containers, dataclasses or plain dicts, nested where a
fine-tuned model carries its pretrained one (``w2v_args``). They are read as inert data (see `unpickle`) and
only tell what shapes cannot: heads, strides, the place of the layer norms, whether waveforms were normalised,
and how many layers there must be. A file stripped of them, or to the state dict alone, is told by the names
of its tensors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from xlsrt.encoder.checkpoints import keys
from xlsrt.encoder.checkpoints.checkpoint import Checkpoint
from xlsrt.encoder.checkpoints.shapes import architecture
from xlsrt.encoder.checkpoints.unpickle import LazyTensor, Stub
from xlsrt.errors import UserError

#: fairseq normalises with torch's layer_norm and its default.
INPUT_NORM_EPS = 1e-5
_DEPTH = 12
#: Options of which this encoder has one value alone. Quantised input would take a projection of its own.
_ONLY = {"activation_fn": "gelu", "layer_type": "transformer", "pos_conv_depth": 1, "quantize_input": False}


def is_fairseq(content: Any) -> bool:
    """Whether ``content`` is as fairseq saves: weights under ``model``, options under ``cfg`` or ``args``.

    Without options its names must tell.
    """
    model = content.get("model") if isinstance(content, Mapping) else None
    return isinstance(model, Mapping) and (bool({"cfg", "args"} & {*content}) or keys.is_fairseq(model))


def open_fairseq(content: Mapping[str, Any], path: Path, overrides: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in ``content`` (of `unpickle.load_inert` or ``torch.load``)."""
    model = content["model"]
    odd = [str(name) for name, value in model.items() if not isinstance(value, LazyTensor | Tensor)]
    if odd or not model:
        raise UserError(
            f"{path}: under 'model' there is something other than tensors: {odd[:5] or 'nothing'}"
        )
    translate = keys.translator("fairseq", model)
    shapes = {
        ours: tuple(tensor.shape) for name, tensor in model.items() if (ours := translate(name)) is not None
    }
    known = _told_by_options(content, path)
    fields = architecture(shapes, str(path), {**known, **overrides})

    def read() -> dict[str, Tensor]:
        return {name: _loaded(name, value, path) for name, value in model.items()}

    normalised = known.get("normalize", fields["feat_extract_norm"] == "layer")
    fields["input_norm_eps"] = INPUT_NORM_EPS
    if not normalised:
        fields["input_norm"] = "none"
    return Checkpoint(str(path), "fairseq", fields, read)


def _loaded(name: str, value: LazyTensor | Tensor, path: Path) -> Tensor:
    try:
        return value.load() if isinstance(value, LazyTensor) else value
    except UserError as error:
        raise UserError(f"{path}: {name}: {error}") from None


def _told_by_options(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What the options say, under our names: heads, layers, layer_norm_first, strides, and ``normalize``."""
    groups = list(_groups(plain({name: content.get(name) for name in ("cfg", "args")})))
    model = next((group for group in groups if "encoder_attention_heads" in group), {})
    known: dict[str, Any] = {}
    if "encoder_attention_heads" in model:
        known["num_heads"] = model["encoder_attention_heads"]
        # Options left at their default may be absent from old namespaces; the default is post-norm.
        known["layer_norm_first"] = bool(model.get("layer_norm_first", False))
    if model.get("conv_feature_layers"):
        known["conv_stride"] = tuple(
            layer[2] for layer in parse_layers(str(model["conv_feature_layers"]), path)
        )
    if "encoder_layers" in model:
        known["num_layers"] = model["encoder_layers"]
    for option, ours in _ONLY.items():
        if model.get(option, ours) != ours:
            raise UserError(
                f"{path} was trained with {option}={model[option]!r}; this encoder has {ours!r} only"
            )
    normalize = next(
        (group["normalize"] for group in groups if isinstance(group.get("normalize"), bool)), None
    )
    if normalize is not None:
        known["normalize"] = normalize
    return known


def parse_layers(text: str, path: Path) -> list[tuple[int, int, int]]:
    """``[(512, 10, 5)] + [(512, 3, 2)] * 4`` as a list, without evaluating it as Python."""
    try:
        layers = _value(ast.parse(text.strip(), mode="eval").body)
        return [(int(dim), int(kernel), int(stride)) for dim, kernel, stride in layers]
    except (SyntaxError, TypeError, ValueError, RecursionError):
        raise UserError(
            f"{path}: conv_feature_layers is not a list of (channels, kernel, stride): {text[:200]!r}"
        ) from None


def _value(node: ast.expr) -> Any:
    """Lists, tuples, whole numbers, list + list and list * number."""
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            return left + right
        if (
            isinstance(node.op, ast.Mult)
            and isinstance(left, list)
            and isinstance(right, int)
            and right <= 100
        ):
            return left * right
    raise ValueError(ast.dump(node)[:100])


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """Options as plain Python: what a `Stub` of a namespace, dataclass, enum or omegaconf container holds."""
    if depth == 0:
        return None
    if isinstance(value, Stub):
        state = value.state
        if isinstance(state, tuple) and state and isinstance(state[0], dict):
            state = state[0]
        if isinstance(state, dict) and "_content" in state:
            return plain(state["_content"], depth - 1)
        if isinstance(state, dict) and "_val" in state:
            return plain(state["_val"], depth - 1)
        if isinstance(state, dict):
            return plain(state, depth - 1)
        if dict.__len__(value):
            return plain(dict(value), depth - 1)
        return plain(value.args[0], depth - 1) if len(value.args) == 1 else None
    if isinstance(value, Mapping):
        return {str(name): plain(item, depth - 1) for name, item in value.items() if isinstance(name, str)}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    return value if isinstance(value, str | int | float | bool) else None


def _groups(options: Any, depth: int = _DEPTH) -> Iterator[Mapping[str, Any]]:
    """Every mapping inside ``options``, the pretrained model's own (``w2v_args``) before its wrapper's."""
    if not isinstance(options, Mapping) or depth == 0:
        return
    nested = sorted(options, key=lambda name: name != "w2v_args")
    for name in nested:
        yield from _groups(options[name], depth - 1)
    yield options
