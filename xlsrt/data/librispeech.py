"""Reader of LibriSpeech: ``<part>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac`` and ``.trans.txt``.

Sets: ``train`` (the training parts that are there, or those asked for), ``dev_clean``, ``dev_other``,
``test_clean``, ``test_other`` and ``dev``, the two dev sets together.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from xlsrt.data.kaldi import Utterance
from xlsrt.data.set_writer import SetWriter
from xlsrt.data.tables import decode_line
from xlsrt.data.tsv import read_lines
from xlsrt.errors import UserError

NAME = "librispeech"
HELP = "LibriSpeech: --source is the folder with train-clean-100/, dev-clean/ ... (LibriSpeech/)"
WHERE = "get the parts from www.openslr.org/12, unpack them and give the folder LibriSpeech"

log = logging.getLogger(__name__)

_TRAIN = ("train-clean-100", "train-clean-360", "train-other-500")
_EVALUATION = ("dev-clean", "dev-other", "test-clean", "test-other")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="the folder LibriSpeech, with a folder for each part")
    parser.add_argument(
        "--train_parts",
        nargs="+",
        choices=_TRAIN,
        default=[],
        help="parts of the set train (default: all three that are there)",
    )
    parser.add_argument(
        "--case",
        choices=("upper", "lower"),
        default="upper",
        help="of the transcripts; they are published in capitals (default: %(default)s)",
    )


def prepare(args: argparse.Namespace) -> None:
    source, output = Path(args.source), Path(args.output_dir)
    if (source / "LibriSpeech").is_dir():
        source = source / "LibriSpeech"
    there = [part for part in (*_TRAIN, *_EVALUATION) if (source / part).is_dir()]
    if not there:
        raise UserError(f"--source {source}: none of {', '.join((*_TRAIN, *_EVALUATION))} is in it: {WHERE}")
    missing = [part for part in args.train_parts if part not in there]
    if missing:
        raise UserError(f"--train_parts {missing[0]}: {source / missing[0]} is not there: {WHERE}")
    train = args.train_parts or [part for part in _TRAIN if part in there]
    plan = {part.replace("-", "_"): [part] for part in _EVALUATION if part in there}
    plan |= {"train": train} if train else {}
    dev = [part for part in there if part.startswith("dev")]
    plan |= {"dev": dev} if dev else {}
    log.info("train: %s", ", ".join(train) or "none of its parts is there")
    with ExitStack() as stack:
        for name, parts in plan.items():
            out = stack.enter_context(SetWriter(output / name, WHERE))
            for part in parts:
                read_part(source / part, out, args.case)


def read_part(folder: Path, out: SetWriter, case: str) -> None:
    """Add the utterances of a part; recordings without a transcript are listed as left out."""
    for chapter in sorted(folder.glob("*/*/")):
        speaker = chapter.parent.name
        table = chapter / f"{speaker}-{chapter.name}.trans.txt"
        told: set[str] = set()
        for utt, text in _transcripts(table, out):
            told.add(utt)
            text = text.upper() if case == "upper" else text.lower()
            out.add(Utterance(utt, speaker, text, str((chapter / f"{utt}.flac").absolute())))
        for path in sorted(chapter.glob("*.flac")):
            if path.stem not in told:
                out.drop(path.stem, "no transcript: it is in no .trans.txt")


def _transcripts(table: Path, out: SetWriter) -> Iterator[tuple[str, str]]:
    if not table.is_file():
        out.drop(table.name, f"no such file: {table}")
        return
    for number, raw in read_lines(table):
        try:
            utt, _, text = decode_line(raw, "").strip().partition(" ")
        except UserError:
            # Its recording comes below, as one without a transcript.
            out.drop(f"{table.name}:{number}", "not UTF-8")
            continue
        if utt:
            yield utt, text
