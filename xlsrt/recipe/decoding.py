"""Which model is decoded with which configuration, and where the results go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.files import copy_file
from xlsrt.recipe.stages import StageTable, Variant
from xlsrt.recipe.training import MARKER, best_checkpoint, experiment
from xlsrt.search.options import own_lms, search_files
from xlsrt.tree import read_tree

# What `DecodeConfig.hears_as` compares; this package does not import that one (a test compares the two).
_HEARD = ("context", "mode", "packet_ms", "endpoint")


@dataclass(frozen=True)
class Decoding:
    """One model, one configuration, one test set.

    Attributes:
        variant: of the model.
        exp_dir: its experiment.
        model_file: checkpoint in it.
        config: decoding configuration.
        data_dir: formatted test set.
    """

    variant: Variant
    exp_dir: Path
    model_file: str
    config: Path
    data_dir: Path

    @property
    def output_dir(self) -> Path:
        """``exp/<model>/<configuration>_<model file>/<set>``."""
        return self.exp_dir / f"{self.config.stem}_{Path(self.model_file).stem}" / self.data_dir.name

    def same_but_set(self, other: Decoding) -> bool:
        """Whether the two differ in the set alone."""
        return replace(self, data_dir=other.data_dir) == other

    @property
    def title(self) -> str:
        return f"{self.data_dir.name} with {self.config.stem}, training stage {self.variant.name}"


def share_encoder(one: Decoding, other: Decoding) -> bool:
    """Whether both decode the same audio with the same model and differ in the search alone."""
    mine, its = ((plan.exp_dir, plan.model_file, plan.data_dir, _heard(plan.config)) for plan in (one, other))
    return mine == its and "endpoint" not in mine[3]


def find_configs(words: str, folders: Sequence[Path]) -> list[Path]:
    """Configurations named by ``--decode_configs``: paths or patterns, of all folders.

    A file hides those of the same name in later folders.
    """
    found: list[Path] = []
    for word in words.replace(",", " ").split():
        matches: dict[str, Path] = {}
        for folder in folders:
            for path in folder.glob(word) if not Path(word).is_absolute() else [Path(word)]:
                if path.is_file():
                    matches.setdefault(path.name, path)
        if not matches:
            places = ", ".join(map(str, folders))
            raise UserError(f"--decode_configs: there is no {word} in {places}")
        found += [matches[name] for name in sorted(matches)]
    if not found:
        raise UserError("--decode_configs is empty: name files such as conf/decode_offline.yaml")
    stems = [path.stem for path in dict.fromkeys(found)]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise UserError(
            f"--decode_configs: two files are called {', '.join(twice)}; results are kept by that name"
        )
    return list(dict.fromkeys(found))


def model_file(exp_dir: Path, choice: str) -> str:
    """``--inference_asr_model``: "best", "ave" or a file of the experiment -> the file's name."""
    best = best_checkpoint(exp_dir, read_tree(exp_dir / "config.yaml")).name
    name = {"best": best, "ave": best.replace(".best.pth", ".ave.pth")}.get(choice, choice)
    if not (exp_dir / name).is_file():
        have = " ".join(sorted(path.name for path in exp_dir.glob("*.pth"))) or "no checkpoint"
        raise UserError(f"--inference_asr_model {choice}: there is no {name} in {exp_dir}, which has {have}")
    return name


def config_files(config: Path, ngrams: Path | None = None) -> list[str]:
    """The files that a configuration's search reads: language models, a list of phrases.

    ngrams: folder of the n-gram models that become the model's own.
    """
    search = _search(config)
    own = [ngrams / name for name in own_lms(search).values()] if ngrams is not None else []
    return [str(path) for path in (*search_files(search), *own)]


def wants_ngram(config: Path) -> bool:
    """Whether a configuration decodes with n-gram models of the model's own."""
    return bool(own_lms(_search(config)))


def without_ngram(configs: Sequence[Path]) -> list[Path]:
    """Those that do without n-gram models of the model's own.

    Raises:
        UserError: there is none of them.
    """
    without = [config for config in configs if not wants_ngram(config)]
    if not without:
        names = ", ".join(config.name for config in configs)
        raise UserError(f"{names}: `lm: ngram` needs an n-gram model: add --use_ngram true")
    return without


def give_ngrams(folder: Path, plans: Iterable[Decoding]) -> None:
    """Lay n-gram models into the experiments that are decoded with them, where packing finds them too.

    Raises:
        UserError: one has not been trained.
    """
    for exp_dir, name in sorted(
        {(plan.exp_dir, name) for plan in plans for name in own_lms(_search(plan.config)).values()}
    ):
        ngram, own = folder / name, exp_dir / name
        if not ngram.is_file():
            raise UserError(f"{ngram} is missing: run stage 3 of run.sh with --use_ngram true first")
        copy_file(ngram, own)


def _search(config: Path) -> dict[str, Any]:
    search = read_tree(config).get("search")
    return search if isinstance(search, dict) else {}


def _heard(config: Path) -> dict[str, Any]:
    """What a configuration asks of the encoder."""
    return {key: value for key, value in read_tree(config).items() if key in _HEARD}


def is_meant_for(config: Path, variant: Variant, every: bool) -> bool:
    """Whether a configuration names the variant in its ``stages``; one that names none is for all."""
    stages = read_tree(config).get("stages")
    if stages is not None and not isinstance(stages, list):
        raise UserError(f"{config}: stages must be a list such as [5b, 5c]")
    return every or stages is None or variant.name in map(str, stages)


def plan_decoding(
    table: StageTable,
    variants: str,
    prefix: str | Path,
    configs: Iterable[Path],
    dumps: Sequence[Path],
    choice: str = "ave",
    every: bool = False,
    ngram: bool = False,
) -> list[Decoding]:
    """Everything that is to be decoded.

    Args:
        every: also contexts that a model was not trained for.
        ngram: also configurations that want n-gram models of the model's own.

    Raises:
        UserError: a model is not trained to its end, a set or checkpoint is missing, or nothing remains.
    """
    for dump in dumps:
        if not (dump / "wav.scp").is_file():
            raise UserError(
                f"{dump}/wav.scp is missing: run stage 2 of run.sh with --test_sets {dump.name} first"
            )
    plans: list[Decoding] = []
    configs = list(configs)
    if not ngram:
        configs = without_ngram(configs)
    for variant in table.select(variants):
        meant = [config for config in configs if is_meant_for(config, variant, every)]
        if not meant:
            continue
        exp_dir = experiment(prefix, variant.name)
        if not (exp_dir / MARKER).is_file():
            raise UserError(
                f"{exp_dir} is not there or not trained to its end: run `./run.sh --stage "
                f"{variant.run_stage} --stop_stage {variant.run_stage} --variants {variant.name}` first, "
                f"or leave {variant.name} out of --variants"
            )
        name = model_file(exp_dir, choice)
        plans += [Decoding(variant, exp_dir, name, config, dump) for config in meant for dump in dumps]
    if not plans:
        raise UserError(
            f"no decoding configuration is meant for --variants {variants}: their `stages` name others "
            "(--decode_all true decodes in contexts that a model never saw)"
        )
    return plans
