"""Reader of Kaldi data directories: any set with wav.scp, text and utt2spk, sorted and checked."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from xlsrt.data.arguments import yes_or_no
from xlsrt.data.external_sort import sorter
from xlsrt.data.kaldi import DataDir, Utterance, is_pipe, write_spk2utt
from xlsrt.data.news import counted
from xlsrt.data.set_tables import new_tables
from xlsrt.data.tables import Row, load_table, read_table, write_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

NAME = "kaldi"
HELP = "a Kaldi data directory, or a folder of them: sorted, checked and copied (the tables, not the audio)"

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        required=True,
        help="a directory with wav.scp, text, utt2spk; or one whose subdirectories are such",
    )
    parser.add_argument(
        "--set_name", help="name of the set made from a single directory (default: its own name)"
    )
    parser.add_argument("--allow_pipes", type=yes_or_no, default=False, help="accept commands in wav.scp")


def prepare(args: argparse.Namespace) -> None:
    source = Path(args.source)
    if (source / "wav.scp").is_file():
        sets = {args.set_name or source.resolve().name: source}
    else:
        sets = {path.parent.name: path.parent for path in sorted(source.glob("*/wav.scp"))}
    if not sets:
        raise UserError(
            f"--source {source}: no wav.scp in it or in its subdirectories: give a Kaldi data directory"
        )
    for name, directory in sets.items():
        target = Path(args.output_dir) / name
        copy_data_dir(directory, target, allow_pipes=args.allow_pipes)


def copy_data_dir(source: Path, target: Path, allow_pipes: bool = False) -> None:
    """Copy the tables, sorted, with absolute audio paths, and validate the copy.

    Raises:
        UserError: duplicate ids, and all that `validate` finds.
    """
    if source.resolve() == target.resolve():
        raise UserError(f"{source}: is the output directory itself: choose another --output_dir")
    data = DataDir(source)
    data.require("wav.scp", "text", "utt2spk")
    names = [
        "wav.scp",
        "text",
        "utt2spk",
        *(["segments"] if data.has("segments") else []),
        *data.extra_names(),
    ]
    # Moved when valid: a bad set never stands under its name.
    with new_tables(target) as fresh:
        try:
            for name in names:
                change = partial(absolute, source) if name == "wav.scp" else str
                _copy_sorted(source / name, fresh / name, change)
            write_spk2utt(fresh)
            summary = validate(fresh, allow_pipes=allow_pipes)
        except UserError as error:
            # The user knows the set by its own name, not by that of the directory it is made in.
            raise UserError(str(error).replace(str(fresh), str(source))) from None
    log.info("%s: %d utterances of %d speakers", target, summary.num_utterances, summary.num_speakers)


def _copy_sorted(table: Path, copy: Path, change: Callable[[str], str]) -> None:
    """Write a table in the order of its keys and with changed values; memory does not hold it.

    Raises:
        UserError: a key comes twice, besides `read_table`'s errors.
    """
    with sorter(copy.parent) as rows:
        for key, value in counted(read_table(table), str(table)):
            rows.add(key, [change(value)])

        def unique() -> Iterator[Row]:
            last = None
            for key, (value,) in rows:
                if key == last:
                    raise UserError(f"{table}: duplicate utterance '{key}': give each line an id of its own")
                last = key
                yield key, value or ""

        write_table(copy, unique())


def absolute(source: Path, value: str) -> str:
    """A wav.scp value that holds from anywhere: relative paths count from the set, else from here."""
    if is_pipe(value) or os.path.isabs(value):
        return value
    beside = source / value
    return os.path.abspath(beside if beside.exists() else value)


def read_source(source: Path) -> Iterator[tuple[Utterance, str | None]]:
    """The utterances of an unsorted data directory without segments, each with its ``utt2split`` value.

    The value is None where there is no such table.

    Raises:
        UserError: a row is missing in one of the tables or twice there, or a transcript is empty.
    """
    data = DataDir(source)
    data.require("wav.scp", "text", "utt2spk")
    wavs, texts, speakers = (load_table(source / name) for name in ("wav.scp", "text", "utt2spk"))
    splits = load_table(source / "utt2split") if data.has("utt2split") else {}
    for utt in sorted(wavs.keys() | texts.keys() | speakers.keys()):
        for name, table in (("wav.scp", wavs), ("text", texts), ("utt2spk", speakers)):
            if not table.get(utt):
                what = "has an empty entry" if utt in table else "is missing"
                raise UserError(
                    f"{source}/{name}: utterance '{utt}' {what}: add it, or take it out of the others"
                )
        yield Utterance(utt, speakers[utt], texts[utt], absolute(source, wavs[utt])), splits.get(utt)
