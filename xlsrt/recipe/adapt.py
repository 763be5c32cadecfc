"""Adaptation of the encoder before training stage 1: audio without transcripts, and how it is trained on."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xlsrt.data.unlabelled import check_sources, name_of
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.recipe.listing import folder_listing
from xlsrt.recipe.step import Step
from xlsrt.recipe.training import NO_PRETRAINED, kind_of, located, pretrained_files, refuse_owned
from xlsrt.settings import as_mapping
from xlsrt.tree import Tree, overlay, read_tree

# What the training configuration says of these holds here too: the encoder must hear what it will hear later.
_SHARED = ("input_norm", "input_norm_eps", "causal_prior_samples", "causal_prior_variance")
# One in so many pieces is kept for validation, and no more than a few minutes of them.
_VALID_SHARE, _VALID_LEAST, _VALID_MOST = 50, 8, 200
# Bytes; file systems take 255, and something is put before and after it.
_LONGEST_NAME = 150


@dataclass(frozen=True)
class Adaptation:
    """A self-supervised training.

    Attributes:
        exp_dir: directory of the experiment; the encoder is exported to ``exp_dir/encoder``.
        settings: everything for ``--config``.
    """

    exp_dir: Path
    settings: Tree = field(repr=False)
    start = None
    note = ""
    title = "run.sh stage 5: adaptation of the encoder on unlabelled audio"

    @property
    def program(self) -> tuple[str, ...]:
        return ("xlsrt.bin.pretrain", "--objective", self.settings["objective"])

    @property
    def config_file(self) -> Path:
        return self.exp_dir / "train.yaml"

    @property
    def pretrained_files(self) -> list[str]:
        return pretrained_files(self.settings)

    @property
    def outputs(self) -> list[str]:
        return [str(self.exp_dir / "encoder" / name) for name in ("config.json", "model.safetensors")]


@dataclass(frozen=True)
class UnlabelledData:
    """Where the audio comes from and goes to.

    Attributes:
        sources: Kaldi directories or folders of audio files.
        tables: data directory made of them.
        dump: its formatted audio.
    """

    sources: tuple[Path, ...]
    tables: Path
    dump: Path

    @property
    def splits(self) -> dict[str, Path]:
        """Shape files of the two parts."""
        return {part: self.dump / "split" / part for part in ("train", "valid")}

    def inputs(self) -> list[Path]:
        """The files that the training depends on."""
        return [self.dump / "wav.scp", *self.splits.values()]


def find_sources(sets: str, data_dirs: Sequence[Path]) -> tuple[Path, ...]:
    """``--adapt_sets``: names of sets in the data folders, or paths of folders."""
    found = []
    for name in sets.replace(",", " ").split():
        places = [folder / name for folder in data_dirs] + [Path(name)]
        place = next((p for p in places if (p / "wav.scp").is_file()), None)
        place = place or next((p for p in places[::-1] if p.is_dir()), None)
        if place is None:
            looked = ", ".join(dict.fromkeys(map(str, places[:-1])))  # an absolute path is one place
            raise UserError(f"--adapt_sets: {name} is neither a set ({looked}) nor a folder of audio files")
        found.append(place)
    if not found:
        raise UserError("--adapt_sets is empty: name sets in data/ or folders of audio files")
    check_sources(found, "--adapt_sets")
    return tuple(found)


def unlabelled_data(sources: tuple[Path, ...], dumpdir: Path) -> UnlabelledData:
    """Places named after the sources; of very many only the first ones are named in full."""
    name = "_".join(map(name_of, sources))
    if len(name.encode()) > _LONGEST_NAME:
        start = name.encode()[: _LONGEST_NAME - 9].decode(errors="ignore")
        name = f"{start}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return UnlabelledData(sources, dumpdir / "unlabelled" / name, dumpdir / "raw" / f"unlabelled_{name}")


def data_steps(data: UnlabelledData, nj: int, allow_pipes: bool, audio_format: str = "flac") -> list[Step]:
    """Look the audio through and cut it; format it, as ``--audio_format`` of format_data says."""
    python, pipes = sys.executable, ["--allow_pipes", str(allow_pipes).lower()]
    look = [python, "-m", "xlsrt.bin.prepare_data", "unlabelled", "--source", *map(str, data.sources)]
    look += ["--output_dir", str(data.tables.parent), "--set_name", data.tables.name, *pipes]
    form = [python, "-m", "xlsrt.bin.format_data", "--data_dir", str(data.tables)]
    form += ["--output_dir", str(data.dump), "--need_text", "false", *pipes]
    form += ["--audio_format", audio_format]
    tables = [path for one in data.sources for path in _tables(one)]
    made = [data.tables / name for name in ("wav.scp", "segments", "utt2spk")]
    dumped = [data.dump / name for name in ("wav.scp", "utt2num_samples")]
    return [
        Step(
            title="run.sh stage 5: unlabelled audio looked through",
            kind="data",
            marker=data.tables / ".prepared",
            command=[*look, "--nj", str(nj)],
            inputs=[str(path) for path in tables],
            outputs=[str(path) for path in made],
            identity=[*look[1:], *(folder_listing(one) for one in data.sources if not _tables(one))],
            audio=[str(path) for path in tables if path.name == "wav.scp"],
        ),
        Step(
            title="run.sh stage 5: unlabelled audio formatted",
            kind="format",
            marker=data.dump / ".formatted",
            command=[*form, "--nj", str(nj)],
            inputs=[str(path) for path in made],
            audio=[str(data.tables / "wav.scp")],
            outputs=[str(path) for path in dumped],
            keeps_audio=True,
        ),
    ]


def _tables(source: Path) -> list[Path]:
    names = ("wav.scp", "segments", "utt2spk") if (source / "wav.scp").is_file() else ()
    return [source / name for name in names if (source / name).is_file()]


def split(data: UnlabelledData) -> None:
    """Write the shape files: a few pieces, chosen by their names, are for validation."""
    lines = (data.dump / "utt2num_samples").read_text(encoding="utf-8").splitlines(keepends=True)
    if len(lines) < 2:
        raise UserError(f"{data.dump}: adaptation needs at least 2 pieces of audio, there is {len(lines)}")
    ranked = sorted(lines, key=lambda line: hashlib.sha256(line.split()[0].encode()).digest())
    # A batch has at least one piece for each rank.
    count = max(1, min(_VALID_LEAST, len(lines) // 2), min(_VALID_MOST, len(lines) // _VALID_SHARE))
    parts = {"train": sorted(ranked[count:]), "valid": sorted(ranked[:count])}
    for part, path in data.splits.items():
        write_text(path, "".join(parts[part]))


def adaptation_settings(
    adapt_configs: Sequence[str],
    train_configs: Sequence[str],
    pretrained: str | None = None,
    last_layers: Sequence[str] = (),
) -> Tree:
    """The settings as far as files and options say them, without data: later layers win.

    Args:
        train_configs: of the stages that follow; say which encoder to start from where ``pretrained`` does
            not, and the size of a random one.
    """
    base = overlay({}, *map(read_tree, adapt_configs))
    refuse_owned(base, ", ".join(adapt_configs))
    settings = overlay(base, *map(read_tree, last_layers))
    encoder, given = _encoder_conf(settings)
    later, later_config = _encoder_conf(overlay({}, *map(read_tree, train_configs)))
    source = pretrained or encoder.get("pretrained") or later.get("pretrained")
    if source and source != NO_PRETRAINED:
        encoder["pretrained"] = located(source)
        shared = {name: later_config[name] for name in _SHARED if name in later_config}
        encoder["config"] = {**shared, **{name: v for name, v in given.items() if name != "preset"}}
    else:
        encoder["pretrained"] = None
        encoder["config"] = overlay(later_config, given)
    settings["encoder_conf"] = encoder
    settings["objective"] = settings.get("objective") or "best_rq"
    return settings


def _encoder_conf(settings: Tree) -> tuple[Tree, Tree]:
    """The section of that name, and its ``config``; a UserError where one is no section."""
    encoder = as_mapping(settings.get("encoder_conf"), "encoder_conf", "{pretrained: DIR}", optional=True)
    config = as_mapping(encoder.get("config"), "encoder_conf.config", "{preset: tiny}", optional=True)
    return encoder, config


def make_adaptation(
    exp_dir: Path,
    adapt_configs: Sequence[str],
    train_configs: Sequence[str],
    data: UnlabelledData,
    pretrained: str | None = None,
    last_layers: Sequence[str] = (),
    seed: int | None = None,
) -> Adaptation:
    """`adaptation_settings` with the data they are for."""
    settings = adaptation_settings(adapt_configs, train_configs, pretrained, last_layers)
    kind = kind_of(data.dump)
    for part, shapes in data.splits.items():
        settings[f"{part}_data_path_and_name_and_type"] = [[str(data.dump / "wav.scp"), "speech", kind]]
        settings[f"{part}_shape_file"] = [str(shapes)]
    if seed is not None:
        settings["seed"] = seed
    return Adaptation(exp_dir, settings)
