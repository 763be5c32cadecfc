"""Reader of the Free Spoken Digit Dataset: its repository, or a data directory of it.

The repository holds ``recordings/<digit>_<speaker>_<index>.wav``, 8 kHz. Sets: ``test`` (the official one:
index 0 to 4) and ``test_connected`` (strings of its digits); ``dev`` and ``train``, each single digits and
strings of its own recordings: index 5 to 7 is dev, the rest train. See `xlsrt.data.digits`.
"""

from __future__ import annotations

import argparse
import logging
import re
from pathlib import Path

from xlsrt.data.digits import Take, make_strings
from xlsrt.data.kaldi_source import read_source
from xlsrt.data.set_tables import write_data_dir
from xlsrt.errors import UserError

NAME = "fsdd"
HELP = "Free Spoken Digit Dataset: --source is the repository (recordings/), or a data directory of it"
WHERE = "clone github.com/Jakobovski/free-spoken-digit-dataset and give its folder"

log = logging.getLogger(__name__)

_FILE = re.compile(r"^(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)$")
_ID = re.compile(r"^(?P<speaker>.+)-(?P<digit>\d)-(?P<index>\d+)$")
_TEST = range(5)
_DEV = range(5, 8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, help="folder with recordings/, or with wav.scp, text and utt2spk"
    )
    for name, default in (("train", 1200), ("dev", 60), ("test", 300)):
        parser.add_argument(
            f"--{name}_strings",
            type=int,
            default=default,
            help=f"connected strings in {name} (default: %(default)s)",
        )


def prepare(args: argparse.Namespace) -> None:
    output = Path(args.output_dir)
    parts: dict[str, list[Take]] = {"train": [], "dev": [], "test": []}
    for take in read(Path(args.source)):
        part = "test" if take.index in _TEST else "dev" if take.index in _DEV else "train"
        parts[part].append(take)
    wanted = {"train": args.train_strings, "dev": args.dev_strings, "test": args.test_strings}
    for part, takes in parts.items():
        if not takes:
            raise UserError(
                f"--source {args.source}: no recordings for {part} in it: the dataset is incomplete: {WHERE}"
            )
        singles = [take.utterance() for take in takes]
        name = "test_connected" if part == "test" else part
        strings = make_strings(
            takes, wanted[part], output / name / "audio", f"{args.seed} {part}", part, args.nj
        )
        if part == "test":
            _write(output / "test", singles)
            if strings:
                _write(output / "test_connected", strings)
        else:
            _write(output / part, singles + strings)


def _write(path: Path, rows: list) -> None:
    log.info("%s: %d utterances", path, write_data_dir(path, rows))


def read(source: Path) -> list[Take]:
    """All recordings, sorted by id; the kind of source is told by what lies in it."""
    if (source / "wav.scp").is_file():
        takes = []
        for row, _ in read_source(source):
            match = _ID.match(row.utt)
            if match is None:
                raise UserError(f"{source}: utterance '{row.utt}' is not of the form speaker-digit-index")
            take = Take(row.utt, match["speaker"], int(match["digit"]), int(match["index"]), row.wav)
            if row.text != take.word:
                raise UserError(
                    f"{source}/text: utterance '{row.utt}' says '{row.text}', its id says '{take.word}'"
                )
            takes.append(take)
        return takes
    if not source.exists():
        raise UserError(f"--source {source}: no such folder: {WHERE}")
    files = sorted((source / "recordings").glob("*.wav")) or sorted(source.glob("*.wav"))
    if not files:
        raise UserError(f"--source {source}: neither recordings/*.wav nor wav.scp is in it: {WHERE}")
    takes = []
    for path in files:
        match = _FILE.match(path.stem)
        if match is None:
            raise UserError(f"{path}: not of the form <digit>_<speaker>_<index>.wav: remove or rename it")
        digit, speaker, index = int(match["digit"]), match["speaker"], int(match["index"])
        takes.append(Take(f"{speaker}-{digit}-{index:02d}", speaker, digit, index, str(path.absolute())))
    return sorted(takes, key=lambda take: take.utt)
