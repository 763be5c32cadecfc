"""What run.sh can find wrong before it does anything: an encoder that is not there, wrong settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from xlsrt.recipe.stages import FIRST_RUN_STAGE, StageTable
from xlsrt.recipe.training import MARKER, NO_PRETRAINED, experiment, layered, located
from xlsrt.tree import Tree, overlay, read_tree


def trains_first(first: int, last: int) -> bool:
    """Whether run.sh's stages ``first`` to ``last`` hold the one that needs an encoder to start from."""
    return first <= FIRST_RUN_STAGE <= last


def encoders(
    table: StageTable,
    variants: str,
    prefix: str,
    train_configs: Sequence[str],
    pretrained: str,
    adapt_configs: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """The encoders that the selected variants start from, with the settings laid over them.

    Left out are those of variants that have been trained from them already.

    Args:
        prefix: experiments without ``_stage<variant>``. pretrained: of run.sh; empty: as the files say.
        adapt_configs: of the adaptation before training stage 1, where there is one.
    """
    base = overlay({}, *map(read_tree, train_configs))
    adapting = overlay({}, *map(read_tree, adapt_configs)).get("encoder_conf") or {}
    found = {}
    for variant in table.select(variants):
        if variant.init_from is not None:
            continue
        conf = overlay(base, variant.options).get("encoder_conf") or {}
        source = pretrained or adapting.get("pretrained") or conf.get("pretrained")
        if source and source != NO_PRETRAINED and not _trained_from(experiment(prefix, variant.name), source):
            config = conf.get("config") or {}
            found[located(source)] = {name: value for name, value in config.items() if name != "preset"}
    return found


def unseen_settings(
    table: StageTable,
    variants: str,
    run_stages: range,
    prefix: str,
    train_configs: Sequence[str],
    last_configs: Sequence[str],
    pretrained: str,
) -> dict[str, Tree]:
    """Settings, by variant, of the trainings of ``run_stages`` that have not been done with them already."""
    found: dict[str, Tree] = {}
    for variant in table.select(variants):
        if variant.run_stage not in run_stages:
            continue
        settings = layered(table, variant, train_configs, last_configs)
        encoder = dict(settings.get("encoder_conf") or {})
        source = pretrained or encoder.get("pretrained")
        encoder["pretrained"] = located(source) if source and source != NO_PRETRAINED else None
        settings["encoder_conf"] = encoder
        if not done_with(experiment(prefix, variant.name), settings):
            contexts = {"train_context": variant.train_context, "eval_context": variant.eval_context}
            found[variant.name] = {**settings, "encoder_conf": {**encoder, **contexts}}
    return found


def done_with(exp_dir: Path, settings: Tree) -> bool:
    """Whether an experiment is finished and was trained with these settings, as far as they go."""
    if not (exp_dir / MARKER).is_file() or not (exp_dir / "train.yaml").is_file():
        return False
    encoder = {key: value for key, value in settings["encoder_conf"].items() if key != "pretrained"}
    encoder["config"] = {
        key: value for key, value in (encoder.get("config") or {}).items() if key != "preset"
    }
    trained = read_tree(exp_dir / "train.yaml")
    return overlay(trained, {**settings, "encoder_conf": encoder}) == trained


def _trained_from(exp_dir: Path, source: str) -> bool:
    """Whether an experiment is finished and, as far as it says, started from that encoder."""
    settings = exp_dir / "train.yaml"
    if not (exp_dir / MARKER).is_file() or not settings.is_file():
        return (exp_dir / MARKER).is_file()
    return bool((read_tree(settings).get("encoder_conf") or {}).get("pretrained") == located(source))


def is_whole(source: str) -> bool:
    """Whether ``source`` is a directory with a readable config.json and a complete model.safetensors.

    That is the common case, told without torch; everything else is the encoder's to judge.
    """
    folder = Path(source)
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        with safe_open(folder / "model.safetensors", framework="np") as file:
            return content.get("model_type") == "wav2vec2" and len(file.keys()) > 0
    except (OSError, ValueError, AttributeError, SafetensorError):
        return False
