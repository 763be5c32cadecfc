"""Which tables a data directory has, and how a new set's take the place of an old one's."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from xlsrt.ctm import WORD_TIMES
from xlsrt.data.kaldi import DataDir, Utterance, write_spk2utt
from xlsrt.data.tables import Row, load_table, write_table
from xlsrt.errors import UserError

# Tables by utterance that may stand in a set, besides utt2*.
BY_UTTERANCE = ("text", "segments", "feats.scp")
# By recording; where there are no segments, utterances are recordings.
BY_RECORDING = ("reco2file_and_channel", "reco2dur", "wav.scp")


def table_names(data: DataDir) -> list[str]:
    """Names of all tables but spk2*, those by utterance first."""
    more = sorted(path.name for path in data.path.glob("utt2*") if path.is_file())
    return [*filter(data.has, BY_UTTERANCE), *more, *filter(data.has, BY_RECORDING)]


def speaker_tables(data: DataDir, more: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    """The tables by speaker, such as spk2gender, and those of ``more`` that exist; not spk2utt, made anew.

    Raises:
        UserError: as `load_table`.
    """
    names = [path.name for path in data.path.glob("spk2*") if path.is_file() and path.name != "spk2utt"]
    return {name: load_table(data.path / name) for name in sorted({*names, *filter(data.has, more)})}


def remove_other_tables(target: Path, kept: Collection[str]) -> None:
    """Delete the tables of a directory that are not in ``kept``: those of an earlier set would not fit."""
    speakers = [path.name for path in target.glob("spk2*") if path.is_file()]
    for name in [*table_names(DataDir(target)), *speakers, WORD_TIMES]:
        if name not in kept:
            (target / name).unlink(missing_ok=True)


@contextlib.contextmanager
def new_tables(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder; its tables take the place of all of ``target`` when the block ends without an error.

    Old tables that stayed would name utterances that the new set lacks, or cut up its recordings.
    """
    # Where a link leads to, as files move within a file system only.
    place = Path(os.path.realpath(target))
    fresh = place.with_name(f".{place.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        yield fresh
        replace_tables(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_tables(fresh: Path, target: Path) -> None:
    """Move the tables of a finished directory over those of another; tables that are no longer there go."""
    target.mkdir(parents=True, exist_ok=True)
    paths = sorted(fresh.iterdir())
    remove_other_tables(target, {path.name for path in paths})
    for path in paths:
        os.replace(path, target / path.name)


def write_data_dir(path: str | os.PathLike[str], utterances: Iterable[Utterance]) -> int:
    """Write utterances without segments as a data directory, sorted; returns their number.

    Tables of a set that stood there before go.

    Raises:
        UserError: no utterance, an id twice, an empty transcript.
    """
    rows = sorted(utterances, key=lambda u: u.utt)
    if not rows:
        raise UserError(f"{path}: no utterances to write: check the source directory and the filters")
    tables: dict[str, list[Row]] = {"wav.scp": [], "utt2spk": []}
    last = None
    for row in rows:
        if row.utt == last:
            raise UserError(f"{path}: duplicate utterance '{row.utt}': give each an id of its own")
        last = row.utt
        tables["wav.scp"].append((row.utt, row.wav))
        tables["utt2spk"].append((row.utt, row.speaker))
        if row.text is not None:
            if not row.text.strip():
                raise UserError(
                    f"{path}: utterance '{row.utt}' has an empty transcript: transcribe or remove it"
                )
            tables.setdefault("text", []).append((row.utt, row.text))
        for name, value in row.extras.items():
            tables.setdefault(name, []).append((row.utt, value))
    with new_tables(path) as fresh:
        for name, table in tables.items():
            write_table(fresh / name, table)
        write_spk2utt(fresh)
    return len(rows)
