"""Reader of a directory of recordings with transcripts beside them: ``a/b.wav`` and ``a/b.txt``.

The first folder below the source names the speaker; first folders called train, dev (or valid) and test are
sets, and then the next one is the speaker. A recording that lies in no such folder is its own speaker.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
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
    there = [path for path in files_below(source) if path.is_file()]
    files = [path for path in there if path.suffix.lower() in SUFFIXES]
    if not files:
        raise UserError(f"--source {source}: no audio files in it ({', '.join(sorted(SUFFIXES))})")
    told = {path.with_suffix(suffix) for path in files}
    for alone in (path for path in there if path.name.endswith(suffix) and path not in told):
        yield Entry(str(alone.relative_to(source)), alone, problem="a transcript without a recording")
    firsts: dict[Path, Path] = {}
    for path in files:
        first = firsts.setdefault(path.with_suffix(""), path)
        folders = list(path.relative_to(source).parts[:-1])
        part = set_name(folders[0]) if folders else None
        part = part if part in ("train", "dev", "test") else None
        speaker = next(iter(folders[1:] if part else folders), None)
        where = str(path.relative_to(source))
        if first != path:
            yield Entry(where, path, part=part, problem=f"its transcript is another file's: {first.name}")
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
