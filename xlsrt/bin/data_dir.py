"""Look after Kaldi data directories; the shell tools of utils/ call this."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.data.kaldi import write_spk2utt
from xlsrt.data.repair import choose, combine, fix, subset
from xlsrt.data.tables import read_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

WAYS = ("first", "last", "shortest", "per-spk", "speakers")
PIPES: dict[str, Any] = {
    "type": yes_or_no,
    "default": False,
    "metavar": "true|false",
    "help": "whether commands may stand in wav.scp (default: false)",
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.data_dir", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    one = tools.add_parser(
        "validate", help="check a set; exit code 2 and the problems, each with its utterance"
    )
    one.add_argument("data_dir", type=Path)
    one.add_argument("--no-text", action="store_true", help="the set needs no text")
    one.add_argument("--no-wav", action="store_true", help="do not look for the audio files")
    one.add_argument(
        "--no-feats", action="store_true", help="accepted for Kaldi's sake: there are no features here"
    )
    one.add_argument("--allow-pipes", "--allow_pipes", **PIPES)
    one = tools.add_parser(
        "fix", help="sort the tables and drop what cannot be used; the old ones go to .backup"
    )
    one.add_argument("data_dir", type=Path)
    one.add_argument("--allow-pipes", "--allow_pipes", **PIPES)
    one = tools.add_parser("subset", help="take utterances out into a set of their own")
    how = one.add_mutually_exclusive_group()
    for way in WAYS:
        how.add_argument(
            f"--{way}", action="store_const", dest="how", const=way, default="spread", help=f"choose by {way}"
        )
    how.add_argument("--utt-list", type=Path, help="file whose first words are the utterances")
    how.add_argument("--spk-list", type=Path, help="file whose first words are the speakers")
    one.add_argument("arguments", nargs="+", metavar="SOURCE [COUNT] TARGET")
    one = tools.add_parser("combine", help="join sets")
    one.add_argument("target", type=Path)
    one.add_argument("sources", type=Path, nargs="+")
    one = tools.add_parser(
        "spk2utt", help="print spk2utt of a utt2spk file (or write it beside: give a directory)"
    )
    one.add_argument("path", type=Path)
    one = tools.add_parser("utt2spk", help="print utt2spk of a spk2utt file")
    one.add_argument("path", type=Path)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.tool == "validate":
        summary = validate(
            args.data_dir,
            need_text=not args.no_text,
            need_audio=not args.no_wav,
            allow_pipes=args.allow_pipes,
        )
        print(
            f"{args.data_dir}: valid, {summary.num_utterances} utterances of {summary.num_speakers} speakers"
        )
    elif args.tool == "fix":
        fix(args.data_dir, args.allow_pipes)
    elif args.tool == "subset":
        _subset(args)
    elif args.tool == "combine":
        print(f"{args.target}: {combine(args.target, args.sources)} utterances")
    elif args.tool == "spk2utt" and args.path.is_dir():
        write_spk2utt(args.path)
    else:
        _invert(args.path)


def _subset(args: argparse.Namespace) -> None:
    listed = args.utt_list or args.spk_list
    if len(args.arguments) != (2 if listed else 3):
        raise UserError("give SOURCE TARGET with --utt-list or --spk-list, otherwise SOURCE COUNT TARGET")
    source, target = args.arguments[0], args.arguments[-1]
    if args.utt_list:
        keep = {key for key, _ in read_table(args.utt_list)}
    elif args.spk_list:
        speakers = {key for key, _ in read_table(args.spk_list)}
        keep = {utt for utt, speaker in read_table(Path(source) / "utt2spk") if speaker in speakers}
    else:
        try:
            count = int(args.arguments[1])
        except ValueError:
            raise UserError(
                f"'{args.arguments[1]}' is no number of utterances: SOURCE COUNT TARGET"
            ) from None
        keep = set(choose(source, count=count, how=args.how))
    print(f"{target}: {subset(source, target, keep)} utterances")


def _invert(path: Path) -> None:
    """Print the inverse of a table whose values are lists: utt2spk gives spk2utt and the other way round."""
    table: dict[str, list[str]] = {}
    for key, value in read_table(path):
        for word in value.split():
            table.setdefault(word, []).append(key)
    for key in sorted(table):
        print(key, " ".join(sorted(table[key])))


if __name__ == "__main__":
    run_main(main)
