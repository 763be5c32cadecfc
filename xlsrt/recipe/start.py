"""What run.sh can find wrong before it does anything: data or an encoder that are not there, wrong settings.

Its stages are those that it is to run, from the first to the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from xlsrt.errors import UserError
from xlsrt.recipe.adapt import adaptation_settings, find_sources
from xlsrt.recipe.corpus import MARKER as PREPARED
from xlsrt.recipe.languages import balances, languages_beside
from xlsrt.recipe.made import not_ours
from xlsrt.recipe.stages import FIRST_RUN_STAGE, StageTable
from xlsrt.recipe.training import MARKER, NO_PRETRAINED, experiment, layered, located, not_trained
from xlsrt.settings import as_mapping
from xlsrt.tree import Tree, overlay, read_tree


def check_sets(folder: Path, sets: Sequence[str]) -> None:
    """Refuse sets that stage 1 would make in the place of the user's own: it has never run in ``folder``.

    Where it has, it knows what it made, and refuses the others itself. A lock without a marker was left by an
    earlier version that failed or was killed, or the marker has been deleted: stage 1 keeps copies then.
    """
    if (folder / PREPARED).exists() or (folder / f"{PREPARED}.lock").exists():
        return
    for name in sets:
        if (folder / name / "wav.scp").exists():
            raise not_ours(folder / name)


def check_texts(names: str, data_dirs: Sequence[Path], stages: range) -> None:
    """Refuse files for the n-gram model that are not there, but for those of sets that stage 1 may make."""
    if 3 not in stages or names == "auto":
        return
    for name in names.split():
        made = stages.start == 1 and any(folder in Path(name).parents for folder in data_dirs)
        if not Path(name).is_file() and not made:
            raise UserError(f"--lm_train_text {name}: there is no such file in {Path.cwd()}")


def check_order(table: StageTable, variants: str, stages: range, prefix: str) -> None:
    """Refuse trainings that start from one that has not been done and is not to be."""
    to_train = [variant for variant in table.select(variants) if variant.run_stage in stages]
    names = [variant.name for variant in to_train]
    for variant in to_train:
        source = variant.init_from
        if source is None or source in names or (experiment(prefix, source) / MARKER).is_file():
            continue
        start = experiment(prefix, source)
        raise not_trained(variant, table[source], start, start)


def check_dumps(dumpdir: Path, sets: Sequence[str]) -> None:
    """Refuse sets to decode whose audio stage 2 has not formatted, where it is not to run."""
    for name in sets:
        if not (dumpdir / name / "wav.scp").exists():
            raise UserError(
                f"--test_sets {name}: {dumpdir / name}/wav.scp is missing: run stages 1 and 2 first, or "
                "correct the name"
            )


def check_audio(sets: str, data_dirs: Sequence[Path], made: bool) -> None:
    """Refuse audio for the adaptation that is not there.

    ``made``: stage 1 is to make sets, and one without a folder in its name may be among them.
    """
    there = [name for name in sets.replace(",", " ").split() if "/" in name or not made]
    if there:
        find_sources(" ".join(there), data_dirs)


def check_languages(trainings: Iterable[Tree], train_set: Path, stages: range, made: Sequence[str]) -> None:
    """Refuse to balance languages that a training set does not name, before stage 2 formats its audio.

    Args:
        trainings: settings of each. train_set: folder. made: sets that stage 1 makes, which looks itself.
    """
    there = (train_set / "wav.scp").is_file() and not (stages.start == 1 and train_set.name in made)
    if there and stages.start <= 2 and any(map(balances, trainings)):
        languages_beside(train_set / "wav.scp")


def trains_first(stages: range) -> bool:
    """Whether the one that needs an encoder to start from is among them."""
    return FIRST_RUN_STAGE in stages


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
    adapting = _encoder_conf(overlay({}, *map(read_tree, adapt_configs)))
    found = {}
    for variant in table.select(variants):
        if variant.init_from is not None:
            continue
        conf = _encoder_conf(overlay(base, variant.options))
        source = pretrained or adapting.get("pretrained") or conf.get("pretrained")
        if source and source != NO_PRETRAINED and not _trained_from(experiment(prefix, variant.name), source):
            config = as_mapping(conf.get("config"), "encoder_conf.config", "{preset: tiny}", optional=True)
            found[located(source)] = {name: value for name, value in config.items() if name != "preset"}
    return found


def _encoder_conf(settings: Mapping[str, Any]) -> dict[str, Any]:
    return as_mapping(settings.get("encoder_conf"), "encoder_conf", "{pretrained: DIR}", optional=True)


def unseen_settings(
    table: StageTable,
    variants: str,
    stages: range,
    prefix: str,
    train_configs: Sequence[str],
    last_configs: Sequence[str],
    pretrained: str,
) -> dict[str, Tree]:
    """Settings, by variant, of the trainings of ``stages`` that have not been done with them already."""
    found: dict[str, Tree] = {}
    for variant in table.select(variants):
        if variant.run_stage not in stages:
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


def unseen_adaptation(
    exp_dir: Path | None,
    adapt_configs: Sequence[str],
    train_configs: Sequence[str],
    pretrained: str,
    last_configs: Sequence[str],
) -> Tree | None:
    """Settings of the adaptation; None where it has been done with them already."""
    settings = adaptation_settings(adapt_configs, train_configs, pretrained, last_configs)
    return None if exp_dir is not None and done_with(exp_dir, settings) else settings


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
