"""Parameter groups: the head and the encoder learn at different rates, depth by depth."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import nn

from xlsrt.errors import UserError
from xlsrt.espnet_task.lean_import import leave_compiler_unloaded
from xlsrt.settings import as_mapping
from xlsrt.transducer.training_conf import is_part

_LAYER = re.compile(r"^encoder\.xlsr\.encoder\.layers\.(\d+)\.")
_ENCODER = "encoder.xlsr."
# Below layer 0: the convolutions, the projection and what is added to its output.
_INPUT_SIDE = (
    "encoder.xlsr.feature_extractor.",
    "encoder.xlsr.feature_projection.",
    "encoder.xlsr.masked_spec_embed",
    "encoder.xlsr.encoder.pos_conv_embed.",
)


def parameter_groups(
    model: nn.Module, lr: float, weight_decay: float, encoder_lr_factor: float = 1.0, layer_decay: float = 1.0
) -> list[dict[str, object]]:
    """Groups for a torch optimiser, the same for every call on the same model, so that a checkpoint's states
    fit.

    The head learns at ``lr``; encoder layer i of L at ``lr * encoder_lr_factor * layer_decay ** (L - 1 -
    i)``; what lies below layer 0 as if it were layer -1; the final layer norm as the top layer. Vectors and
    scalars (biases, norms, weight-norm gains) are not decayed. Parameters without gradient
    (``freeze_param``) are left out.

    Returns:
        Groups with ``params``, ``lr``, ``weight_decay`` and ``name``; those of the head first.
    """
    if encoder_lr_factor <= 0 or not 0 < layer_decay <= 1:
        raise UserError(
            f"encoder_lr_factor ({encoder_lr_factor}) must be above 0 and layer_lr_decay ({layer_decay}) in "
            "(0, 1]"
        )
    depths = [int(match[1]) for name, _ in model.named_parameters() if (match := _LAYER.match(name))]
    layers = 1 + max(depths, default=0)
    groups: dict[tuple[int, bool], dict[str, object]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = _depth(name, layers)
        decayed = parameter.dim() >= 2 and not name.endswith("masked_spec_embed")
        key = (depth, decayed)
        if key not in groups:
            factor = 1.0 if depth > layers else encoder_lr_factor * layer_decay ** (layers - depth)
            label = "head" if depth > layers else ("input" if depth == 0 else f"layer{depth - 1}")
            groups[key] = {
                "params": [],
                "lr": lr * factor,
                "weight_decay": weight_decay if decayed else 0.0,
                "name": label + ("" if decayed else ".undecayed"),
            }
        groups[key]["params"].append(parameter)  # type: ignore[attr-defined]
    if not groups:
        raise UserError("no parameter is left to train: freeze_param freezes all of them")
    return [groups[key] for key in sorted(groups, key=lambda key: (-key[0], not key[1]))]


def _depth(name: str, layers: int) -> int:
    """0 input side, i + 1 layer i, ``layers`` final norm, ``layers + 1`` outside the encoder."""
    if not name.startswith(_ENCODER):
        return layers + 1
    if match := _LAYER.match(name):
        return int(match[1]) + 1
    return 0 if name.startswith(_INPUT_SIDE) else layers


def check_frozen(frozen: Sequence[str], names: Collection[str]) -> None:
    """Refuse a ``freeze_param`` that is none of a model's parameters (``names``) nor a part of it.

    ESPnet would train what was to stay, without a word.
    """
    if isinstance(frozen, str):
        raise UserError(f"freeze_param is {frozen!r}; it must be a list: [{frozen}]")
    for part in frozen:
        if any(is_part(name, [part]) for name in names):
            continue
        parts = {name[:at] for name in names for at, letter in enumerate(name) if letter == "."}
        near = difflib.get_close_matches(part, sorted(parts), 3, 0.4)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise UserError(f"freeze_param: {part} is no part of this model{hint}")


def build_optimizer(args: argparse.Namespace, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of ``args.optim``/``optim_conf`` on `parameter_groups`.

    Args:
        args: ``optim`` (a torch optimiser that ESPnet knows), ``optim_conf`` (its options),
            ``encoder_lr_factor``, ``layer_lr_decay``.

    Raises:
        UserError: options that are missing, unknown, or refused by the optimiser.
    """
    from espnet2.tasks.abs_task import optim_classes

    conf = as_mapping(args.optim_conf, "optim_conf", optional=True)
    if "lr" not in conf:
        raise UserError(
            "optim_conf.lr is missing: give the learning rate of the head, for instance lr: 0.001"
        )
    lr, weight_decay = (_number(conf, name) for name in ("lr", "weight_decay"))
    more = {name: value for name, value in conf.items() if name not in ("lr", "weight_decay")}
    groups = parameter_groups(model, lr, weight_decay, args.encoder_lr_factor, args.layer_lr_decay)
    leave_compiler_unloaded()
    if args.optim not in optim_classes:
        raise UserError(f"optim is {args.optim!r}; known: {', '.join(sorted(optim_classes))}")
    try:
        return optim_classes[args.optim](groups, lr=lr, **more)
    except (TypeError, ValueError) as error:
        raise UserError(f"optim_conf does not fit optimiser {args.optim}: {error}") from error


def check_optimizer(args: argparse.Namespace) -> None:
    """Refuse what `build_optimizer` would, before there is a model."""
    build_optimizer(args, nn.Linear(1, 1))


def _number(conf: Mapping[str, object], name: str) -> float:
    value = conf.get(name, 0.0)
    try:
        return float(value)  # type: ignore[arg-type]  # YAML takes 1e-3 for a word
    except (TypeError, ValueError):
        raise UserError(f"optim_conf.{name} is {value!r}; it must be a number") from None
