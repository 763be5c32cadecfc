"""Training settings of one variant: the training configuration with the stage table's row laid over it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlsrt.context import ContextSampler, training_context_from_dict
from xlsrt.errors import UserError
from xlsrt.recipe.frozen import released
from xlsrt.recipe.languages import balances, languages_beside
from xlsrt.recipe.stages import StageTable, Variant
from xlsrt.settings import typed
from xlsrt.tree import Tree, overlay, read_tree

MARKER = ".done"
# Of `--pretrained`: random weights, whatever the training configuration says.
NO_PRETRAINED = "none"
RECIPE_ROOT = Path(__file__).resolve().parents[2]
# Hash of the settings and data that the checkpoints in an experiment directory were trained with.
IDENTITY = ".identity"
_OF_A_MODEL = (".json", ".safetensors", ".bin", ".pt", ".pth")

# From the seed of a training stage to that of the next; an epoch adds 1 for the order of its batches.
STAGE_SEEDS = 1000

# Settings that change how fast training goes, what it prints or when it gives up, not what it finds: it
# continues under them.
OPERATIONAL = (
    "num_workers",
    "log_interval",
    "ngpu",
    "num_att_plot",
    "log_level",
    "use_tensorboard",
    "max_cache_fd",
    "use_matplotlib",
    "checkpoint_seconds",
    "max_invalid_updates",
    "monitor_conf",
)

# Set by the recipe for every variant; a configuration that sets them would be overruled without a word.
OWNED = (
    "output_dir",
    "train_data_path_and_name_and_type",
    "valid_data_path_and_name_and_type",
    "train_shape_file",
    "valid_shape_file",
    "token_list",
    "bpemodel",
    "init_from",
    "multiple_iterator",
    "seed",
)


@dataclass(frozen=True)
class Corpus:
    """The data of a training run, as stages 2 to 4 of run.sh leave it.

    Attributes:
        train_dump, valid_dump: directories with wav.scp and text.
        stats: directory with {train,valid}/{speech_shape,text_shape.<type>}.
        token_type: "bpe" or "char".
        token_list: file with a token a line.
        bpemodel: SentencePiece model, for "bpe".
        num_splits: parts of the training set that are read one after the other (`xlsrt.data.splits`); 1: the
            whole at once.
    """

    train_dump: Path
    valid_dump: Path
    stats: Path
    token_type: str
    token_list: Path
    bpemodel: Path | None = None
    num_splits: int = 1

    def settings(self) -> Tree:
        """ESPnet's options for this data."""
        found: Tree = {"token_type": self.token_type, "token_list": str(self.token_list)}
        if self.bpemodel:
            found["bpemodel"] = str(self.bpemodel)
        for part, dump in (("train", self.train_dump), ("valid", self.valid_dump)):
            found[f"{part}_data_path_and_name_and_type"] = [
                [str(dump / "wav.scp"), "speech", kind_of(dump)],
                [str(dump / "text"), "text", "text"],
            ]
            found[f"{part}_shape_file"] = [str(path) for path in self.shape_files(part)]
        if self.num_splits > 1:
            splits = self.stats / f"splits{self.num_splits}"
            for file in found["train_data_path_and_name_and_type"]:
                file[0] = str(splits / Path(file[0]).name)
            found["train_shape_file"] = [str(splits / Path(path).name) for path in found["train_shape_file"]]
            found["multiple_iterator"] = True
        return found

    def shape_files(self, part: str) -> list[Path]:
        return [self.stats / part / "speech_shape", self.stats / part / f"text_shape.{self.token_type}"]

    def inputs(self, settings: Mapping[str, Any]) -> list[Path]:
        """The files whose content a training with these settings depends on."""
        files = [self.token_list, *([self.bpemodel] if self.bpemodel else [])]
        for part, dump in (("train", self.train_dump), ("valid", self.valid_dump)):
            files += [dump / "wav.scp", dump / "text", *self.shape_files(part)]
        if balances(settings):
            files.append(languages_beside(self.train_dump / "wav.scp"))
        return files


@dataclass(frozen=True)
class Plan:
    """What to train and from what.

    Attributes:
        variant: row of the stage table.
        exp_dir: directory of the experiment.
        start: directory of the experiment whose best checkpoint it starts from, None for the first stage.
        settings: everything for asr_train's ``--config``.
        init_from: that checkpoint.
        note: what to say of it when it is trained; mostly nothing.
    """

    variant: Variant
    exp_dir: Path
    start: Path | None
    settings: Tree = field(repr=False)
    init_from: Path | None = None
    note: str = ""

    program = ("xlsrt.bin.asr_train",)

    @property
    def title(self) -> str:
        return str(self.variant)

    @property
    def config_file(self) -> Path:
        return self.exp_dir / "train.yaml"

    @property
    def pretrained_files(self) -> list[str]:
        """The files of the encoder that the first stage starts from, where they lie on this disk."""
        return pretrained_files(self.settings) if self.start is None else []

    @property
    def outputs(self) -> list[str]:
        """What must be there when it is done."""
        return [str(best_checkpoint(self.exp_dir, self.settings)), str(self.exp_dir / "config.yaml")]


def kind_of(dump: Path) -> str:
    """ESPnet's name for how a dump holds its audio."""
    # format_data leaves this file where it has put the audio into archives.
    return "kaldi_ark" if (dump / "audio_format").is_file() else "sound"


def pretrained_files(settings: Mapping[str, Any]) -> list[str]:
    """The files of ``encoder_conf.pretrained``, where they lie on this disk; not what is written about it."""
    source = (settings.get("encoder_conf") or {}).get("pretrained")
    path = Path(source or "")
    if not source or not path.is_dir():
        return [str(path)] if source and path.is_file() else []
    return [str(file) for file in sorted(path.iterdir()) if file.is_file() and file.suffix in _OF_A_MODEL]


def experiment(prefix: str | Path, variant: str) -> Path:
    """``exp/asr_mini_bpe100`` and ``2b`` -> ``exp/asr_mini_bpe100_stage2b``."""
    return Path(f"{prefix}_stage{variant}")


def best_checkpoint(exp_dir: Path, settings: Mapping[str, object]) -> Path:
    """The file that ESPnet links to the best epoch, by the first of best_model_criterion."""
    criteria = settings.get("best_model_criterion") or [["valid", "ter", "min"]]
    assert isinstance(criteria, Sequence)
    part, name = criteria[0][:2]
    return exp_dir / f"{part}.{name}.best.pth"


def make_plan(
    table: StageTable,
    name: str,
    prefix: str | Path,
    train_configs: Sequence[str],
    corpus: Corpus,
    pretrained: str | None = None,
    last_layers: Sequence[str] = (),
    seed: int | None = None,
) -> Plan:
    """Resolve the settings of a variant.

    Later layers win: the training configurations, the stage table's row, ``last_layers`` (files), the seed.

    Raises:
        UserError: a file is missing or wrong; the experiment to start from has not been trained to its end.
    """
    variant = table[name]
    settings = overlay(layered(table, variant, train_configs, last_layers), corpus.settings())
    # With one seed for all, each stage's first epoch would repeat the first of the stages before, down to the
    # noise, the masks and which utterances are joined: the model would know those batches by heart.
    base = seed or 0
    settings["seed"] = base + STAGE_SEEDS * (variant.stage - 1)
    exp_dir = experiment(prefix, variant.name)
    # Replaced, not merged: keys of another stage's context must not linger.
    encoder = dict(settings.get("encoder_conf") or {})
    encoder["train_context"] = _seeded(variant.train_context, base)
    encoder["eval_context"] = variant.eval_context
    start = init_from = None
    if variant.init_from is None:
        if pretrained:
            encoder["pretrained"] = None if pretrained == NO_PRETRAINED else pretrained
        if encoder.get("pretrained"):
            encoder["pretrained"] = located(encoder["pretrained"])
            # The checkpoint decides the sizes.
            encoder["config"] = {k: v for k, v in (encoder.get("config") or {}).items() if k != "preset"}
    else:
        start = experiment(prefix, variant.init_from)
        init_from = _finished_checkpoint(table, variant, start, settings)
        encoder["pretrained"] = None
        encoder["config"] = _encoder_of(start, encoder.get("config") or {})
    settings["encoder_conf"] = encoder
    if init_from:
        settings["init_from"] = str(init_from)
    settings, note = (settings, "") if init_from or encoder.get("pretrained") else released(settings)
    return Plan(variant, exp_dir, start, settings, init_from, note)


def _seeded(context: Tree, seed: int) -> Tree:
    """A training context; one that is drawn is drawn otherwise with each seed, unless it names its own."""
    drawn = isinstance(training_context_from_dict(context), ContextSampler)
    # Nothing is added for seed 0, the sampler's default: experiments trained with it stay as they are.
    return {"seed": seed, **context} if drawn and seed else context


def layered(
    table: StageTable, variant: Variant, train_configs: Sequence[str], last_layers: Sequence[str] = ()
) -> Tree:
    """What the files say of a variant: training configurations, its row of the table, ``last_layers``."""
    base = overlay({}, *map(read_tree, train_configs))
    refuse_owned(base, ", ".join(train_configs))
    refuse_owned(variant.options, f"{table.source}: options of {variant.name}")
    row: Tree = overlay({}, variant.options)
    optim = row.get("optim_conf")
    for key, value, other, twice in (
        ("epochs", variant.epochs, "max_epoch", "max_epoch" in row),
        ("lr", variant.lr, "optim_conf.lr", isinstance(optim, dict) and "lr" in optim),
    ):
        if value is not None and twice:
            raise UserError(
                f"{table.source}: {variant.name} has {key} {value} and {other} in its options: "
                f"write {key} alone"
            )
    if variant.epochs is not None:
        row["max_epoch"] = variant.epochs
    if variant.lr is not None:
        row = overlay(row, {"optim_conf": {"lr": variant.lr}})
    return overlay(base, row, *map(read_tree, last_layers))


def identity(settings: Mapping[str, object]) -> str:
    """The settings that decide what training finds, in one line."""
    return json.dumps(
        {key: value for key, value in settings.items() if key not in OPERATIONAL}, sort_keys=True
    )


def _finished_checkpoint(table: StageTable, variant: Variant, start: Path, settings: Tree) -> Path:
    source = table[variant.init_from or ""]
    checkpoint = best_checkpoint(start, settings)
    if (start / MARKER).is_file() and checkpoint.is_file():
        return checkpoint
    raise not_trained(variant, source, start, checkpoint)


def not_trained(variant: Variant, source: Variant, start: Path, wanted: Path) -> UserError:
    """What to say of a variant whose start is not trained. start: its experiment. wanted: what is missing."""
    found = "has not been trained to its end" if start.is_dir() else "has not been trained"
    return UserError(
        f"{variant} starts from {wanted}, but training stage {source.name} {found}: run `./run.sh "
        f"--stage {source.run_stage} --stop_stage {source.run_stage} --variants {source.name}` first, "
        "with the same other options"
    )


def located(source: str) -> str:
    """A path of the recipe's own folder is found from wherever run.sh works; anything else stays as it is."""
    source = typed(source, str, "encoder_conf.pretrained")
    inside = RECIPE_ROOT / source
    return str(inside) if not Path(source).exists() and inside.exists() else source


def _encoder_of(start: Path, overrides: Mapping[str, object]) -> Tree:
    """The architecture of a trained experiment, under what the configuration says beside its preset."""
    trained = read_tree(start / "config.yaml")
    config = (trained.get("encoder_conf") or {}).get("config")
    if not isinstance(config, dict):
        raise UserError(
            f"{start}/config.yaml: encoder_conf.config is missing; this is no experiment of this recipe"
        )
    return overlay(config, {key: value for key, value in overrides.items() if key != "preset"})


def refuse_owned(tree: Mapping[str, object], where: str) -> None:
    owned = sorted(set(tree) & set(OWNED))
    if owned:
        raise UserError(f"{where}: {', '.join(owned)} is set by run.sh from its own options; remove it")
