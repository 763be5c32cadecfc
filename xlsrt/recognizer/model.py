"""An experiment directory as a model: config.yaml, weights, token list. Nothing in it is executed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.recognizer.model_files import find_weights
from xlsrt.search.options import OWN_LMS
from xlsrt.tensor_files import check_finite, misfits, read_model
from xlsrt.text import TokenModel
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.config import MODEL_KEYS
from xlsrt.transducer.training_conf import PREFIXES, ModelConfig, read_encoder_conf
from xlsrt.tree import read_tree

_ANOTHER = "copy it again, or train on from the last whole checkpoint"


@dataclass(frozen=True)
class Model:
    """What a recogniser is made of.

    Attributes:
        context, search: those that it is used with unless told otherwise.
        ngrams: n-gram models of its tokens by their file names, for a search with ``lm: ngram`` and such.
    """

    encoder: XlsrEncoder
    head: TransducerHead
    tokens: TokenModel
    context: AttentionContext
    search: Mapping[str, Any] = field(default_factory=lambda: {"type": "greedy"})
    ngrams: Mapping[str, Path | zipfile.Path] = field(default_factory=dict)


def load_exp(exp_dir: Path | str, model_file: str | None = None) -> Model:
    """Read ``config.yaml`` and the weights of an experiment directory.

    Args:
        exp_dir: what training wrote. model_file: a file in it, with or without ".pth", or a path; None: see
            `xlsrt.recognizer.model_files.MODEL_FILES`.

    Raises:
        UserError: a file is missing, damaged, or does not fit the configuration; names are listed.
    """
    directory = Path(exp_dir)
    if not directory.is_dir():
        raise UserError(f"{directory} is no directory; give the experiment directory that training wrote")
    args = read_config(directory / "config.yaml")
    weights = find_weights(directory, model_file)
    model = replace(build_model(args, directory), ngrams=found_ngrams(directory))
    model.tokens.check_pieces(str(directory))
    load_weights(model, read_model(weights, _ANOTHER), str(weights))
    return model


def found_ngrams(directory: Path | zipfile.Path) -> dict[str, Path | zipfile.Path]:
    """The n-gram models in a model's folder or zip by their names."""
    paths = {name: directory / name for _, name in OWN_LMS.values()}
    return {name: path for name, path in paths.items() if path.is_file()}


def read_config(path: Path) -> dict[str, Any]:
    """ESPnet's dumped arguments, checked for the keys that a model is built from."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; is that an experiment?")
    args = read_tree(path)
    if "encoder_conf" not in args or "token_list" not in args:
        raise UserError(f"{path} has no encoder_conf and token_list; it is no trained model's")
    return args


def build_model(args: Mapping[str, Any], directory: Path) -> Model:
    """The model that ``args`` describe, with random weights. ``directory``: for relative paths.

    Sections are read as strictly as the training reads them: a mistyped key would leave its default in force.
    """
    tokens = TokenModel(_token_list(args["token_list"], directory), *_token_files(args, directory))
    try:
        conf = read_encoder_conf(args["encoder_conf"])
        if not conf.get("config"):
            raise UserError("encoder_conf.config must hold the encoder's settings")
        ModelConfig.from_model_conf(args.get("model_conf"), tuple(MODEL_KEYS))
        config = XlsrConfig.from_dict(conf["config"])
        head = HeadConfig.from_espnet(args, config.hidden_size, len(tokens))
        context = conf.get("eval_context")
        own = AttentionContext.from_dict(context) if context else AttentionContext.full()
    except ValueError as error:
        raise UserError(f"{directory}/config.yaml: {error}") from None
    return Model(XlsrEncoder(config), TransducerHead(head), tokens, own)


def _token_list(value: Any, directory: Path) -> list[str]:
    """The list itself, as ESPnet dumps it, or the name of a file with one token a line."""
    if isinstance(value, list) and all(isinstance(token, str) for token in value):
        return value
    if isinstance(value, str):
        path = _located(value, directory)
        if path is None:
            raise UserError(f"{directory}/config.yaml: the token list {value} does not exist")
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    raise UserError(f"{directory}/config.yaml: token_list must be a list of strings or a file")


def _token_files(args: Mapping[str, Any], directory: Path) -> tuple[str, Path | None]:
    model = args.get("bpemodel")
    return args.get("token_type") or "bpe", _located(model, directory) if model else None


def _located(name: str, directory: Path) -> Path | None:
    """A file in ``directory``, by its own path, or above: recipes write paths relative to their root."""
    candidates = [directory / Path(name).name, Path(name), directory / name]
    candidates += [parent / name for parent in directory.resolve().parents]
    return next((path for path in candidates if path.is_file()), None)


def load_weights(model: Model, weights: Mapping[str, Tensor], name: str) -> None:
    """Load strictly: every tensor has its place and shape, every place its tensor."""
    modules: dict[str, nn.Module] = {"encoder": model.encoder, "head": model.head}
    wanted = {
        PREFIXES[part] + key: value
        for part, module in modules.items()
        for key, value in module.state_dict().items()
    }
    if problems := misfits(weights, wanted):
        raise UserError(f"{name} does not fit its config.yaml; {problems}")
    check_finite(weights, name)
    for part, module in modules.items():
        prefix = PREFIXES[part]
        module.load_state_dict(
            {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        )
        module.eval()
