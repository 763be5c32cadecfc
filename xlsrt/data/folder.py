"""Reader of a directory of recordings with transcripts beside them: ``a/b.wav`` and ``a/b.txt``.

The first folder below the source names the speaker; first folders called train, dev (or valid) and test are
sets, and then the next one is the speaker. A recording that lies in no such folder is its own speaker.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

from xlsrt.data.own_data import Entry, add_own_arguments, make_sets, set_name
from xlsrt.data.unlabelled import SUFFIXES
from xlsrt.data.walk import files_below
from xlsrt.errors import UserError

NAME = "folder"
HELP = "a directory of your recordings with a text file beside each: talk.wav and talk.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser, "one or more directories, searched to any depth")
    parser.add_argument(
        "--transcript_suffix", default=".txt", help="of the text files (default: %(default)s)"
    )


def prepare(args: argparse.Namespace) -> None:
    make_sets(args, partial(read, suffix=args.transcript_suffix))


def read(source: Path, suffix: str = ".txt") -> Iterator[Entry]:
    """The recordings below a directory, sorted.

    Raises:
        UserError: there is none, or ``suffix`` has no dot.
    """
    if not suffix.startswith("."):
        raise UserError(f"--transcript_suffix {suffix}: it begins with a dot, as in .txt")
    if not source.is_dir():
        raise UserError(f"--source {source}: is no directory: for a list use `prepare_data manifest`")
    # Few folders' recordings are in memory at a time: those that hold the present file and some before.
    recordings = lru_cache(maxsize=32)(_recordings)
    if not any(_is_recording(path) for path in files_below(source)):
        raise UserError(f"--source {source}: no audio files in it ({', '.join(sorted(SUFFIXES))})")
    for path in files_below(source):
        named = path.name.endswith(suffix) and path.is_file()
        if named and path.name.removesuffix(suffix) not in recordings(path.parent):
            yield Entry(str(path.relative_to(source)), path, problem="a transcript without a recording")
    for path in filter(_is_recording, files_below(source)):
        first = recordings(path.parent)[path.stem]
        folders = list(path.relative_to(source).parts[:-1])
        part = set_name(folders[0]) if folders else None
        part = part if part in ("train", "dev", "test") else None
        speaker = next(iter(folders[1:] if part else folders), None)
        where = str(path.relative_to(source))
        if first != path.name:
            yield Entry(where, path, part=part, problem=f"its transcript is another file's: {first}")
            continue
        transcript = path.with_suffix(suffix)
        if not transcript.is_file():
            yield Entry(where, path, part=part, problem=f"no transcript: {transcript.name}")
            continue
        try:
            text = transcript.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            yield Entry(where, path, part=part, problem=f"not UTF-8: {transcript}")
            continue
        yield Entry(where, path, text, speaker, part=part)


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _recordings(folder: Path) -> dict[str, str]:
    """The recordings right in a folder: their names without suffix, each with the first file of that name."""
    firsts: dict[str, str] = {}
    for path in sorted(filter(_is_recording, folder.iterdir())):
        firsts.setdefault(path.stem, path.name)
    return firsts
