"""Start from a model of an earlier stage: all of it or an error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from xlsrt.errors import UserError
from xlsrt.tensor_files import check_finite, misfits, read_model
from xlsrt.tree import read_tree


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
    state = read_model(path, "run the stage that it comes from again, or restore a copy")
    if problems := misfits(state, model.state_dict()):
        raise UserError(
            f"{path} (init_from) does not fit the model of this training: {problems}. Use the same encoder, "
            "decoder and joint settings as the experiment it comes from"
        )
    check_finite(state, f"{path} (init_from)")
    model.load_state_dict(state)
    logging.info(f"all {len(state)} tensors initialised from {path}")


def _check_tokens(path: Path, tokens: list[str]) -> None:
    config = path.parent / "config.yaml"
    if not config.exists():
        return
    theirs = read_tree(config).get("token_list")
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
