"""Start from a model of an earlier stage: all of it or an error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import yaml
from torch import Tensor, nn

from xlsrt.errors import UserError
from xlsrt.espnet_task.checkpoint import load_safely

SHOWN = 10


def load_init_from(model: nn.Module, path: Path, token_list: Iterable[str]) -> None:
    """Copy every parameter and buffer of the model file into ``model``.

    The schedule's and the context sampler's counters are not part of a model file and start anew.

    Args:
        model: to be filled. path: a model file (``valid.ter.best.pth``) or a training checkpoint
            (``checkpoint.pth``). token_list: of ``model``; it must be that of the file's experiment.

    Raises:
        UserError: the file is missing or unreadable, its vocabulary differs, or a name or shape differs
            (listed).
    """
    if not path.exists():
        raise UserError(f"{path} (init_from): no such file; run the stage that it comes from first")
    _check_tokens(path, list(token_list))
    state = load_safely(path)
    if isinstance(state.get("model"), dict):
        state = state["model"]
    ours = model.state_dict()
    problems = [
        _listed("missing in the file", sorted(set(ours) - set(state))),
        _listed("unknown to the model", sorted(set(state) - set(ours))),
        _listed(
            "of another shape",
            [
                f"{name} ({_shape(state[name])} in the file, {_shape(ours[name])} in the model)"
                for name in sorted(set(ours) & set(state))
                if _shape(state[name]) != _shape(ours[name])
            ],
        ),
    ]
    if any(problems):
        raise UserError(
            f"{path} (init_from) does not fit the model of this training: "
            f"{'; '.join(filter(None, problems))}. Use the same encoder, decoder and joint settings as the "
            "experiment it comes from"
        )
    model.load_state_dict(state)
    logging.info(f"all {len(state)} tensors initialised from {path}")


def _check_tokens(path: Path, tokens: list[str]) -> None:
    config = path.parent / "config.yaml"
    if not config.exists():
        return
    with config.open(encoding="utf-8") as stream:
        theirs = (yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get(
            "token_list"
        )
    if not isinstance(theirs, list) or theirs == tokens:
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(theirs, tokens, strict=False)) if a != b),
        min(len(theirs), len(tokens)),
    )
    raise UserError(
        f"{path} (init_from) was trained with another token model: {len(theirs)} tokens, here {len(tokens)}; "
        f"the first difference is token {at} ({theirs[at : at + 1]} there, {tokens[at : at + 1]} here). Use "
        "its token model, or train the earlier stages anew with this one"
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"
