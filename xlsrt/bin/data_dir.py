"""Look after Kaldi data directories; the shell tools of utils/ call this."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.data.choice import choose, choose_speakers
from xlsrt.data.data_report_page import write_report
from xlsrt.data.format import perturb_speed
from xlsrt.data.hours import choose_hours
from xlsrt.data.kaldi import write_spk2utt
from xlsrt.data.repair import combine, fix, subset
from xlsrt.data.tables import inverted, read_table
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
        "--no-feats",
        "--no-spk-sort",
        "--non-print",
        action="store_true",
        help="accepted for Kaldi's sake: none of these is an error here",
    )
    one.add_argument("--allow-pipes", "--allow_pipes", **PIPES)
    one = tools.add_parser(
        "fix", help="sort the tables and drop what cannot be used; the old ones go to .backup"
    )
    one.add_argument("data_dir", type=Path)
    one.add_argument(
        "--utt-extra-files", default="", metavar='"A B"', help="further tables by utterance to be cut too"
    )
    one.add_argument(
        "--spk-extra-files",
        default="",
        metavar='"A B"',
        help="tables by speaker, such as spk2gender, likewise",
    )
    one.add_argument("--allow-pipes", "--allow_pipes", **PIPES)
    one = tools.add_parser("subset", help="take utterances out into a set of their own")
    how = one.add_mutually_exclusive_group()
    for way in WAYS:
        how.add_argument(
            f"--{way}", action="store_const", dest="how", const=way, default="spread", help=f"choose by {way}"
        )
    how.add_argument("--utt-list", type=Path, help="file whose first words are the utterances")
    how.add_argument("--spk-list", type=Path, help="file whose first words are the speakers")
    how.add_argument("--hours", type=float, help="so much of a dump, spread evenly over the speakers")
    one.add_argument("arguments", nargs="+", metavar="SOURCE [COUNT] TARGET")
    one = tools.add_parser("combine", help="join sets")
    one.add_argument("--extra-files", default="", metavar='"A B"', help="further tables by utterance")
    one.add_argument(
        "--skip-fix", metavar="true|false", help="accepted for Kaldi's sake: joining drops nothing here"
    )
    one.add_argument("target", type=Path)
    one.add_argument("sources", type=Path, nargs="+")
    one = tools.add_parser(
        "perturb_speed", help="a copy of a set at another speed, audio and all, ids with sp<factor>- in front"
    )
    one.add_argument("--nj", type=int, default=1, help="parallel processes (default: %(default)s)")
    one.add_argument("--allow-pipes", "--allow_pipes", **PIPES)
    one.add_argument("factor", type=float, help="such as 0.9 or 1.1")
    one.add_argument("source", type=Path)
    one.add_argument("target", type=Path)
    one = tools.add_parser(
        "report", help="hours, speakers, lengths, characters and what looks wrong, of sets"
    )
    one.add_argument("data_dirs", type=Path, nargs="+")
    one.add_argument(
        "--output_dir", type=Path, help="of report.md and lengths.png (default: <first set>/report)"
    )
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
        needs = {"need_text": not args.no_text, "need_audio": not args.no_wav}
        found = validate(args.data_dir, allow_pipes=args.allow_pipes, **needs)
        print(f"{args.data_dir}: valid, {found.num_utterances} utterances of {found.num_speakers} speakers")
    elif args.tool == "fix":
        fix(args.data_dir, args.allow_pipes, args.utt_extra_files.split(), args.spk_extra_files.split())
    elif args.tool == "subset":
        _subset(args)
    elif args.tool == "combine":
        print(f"{args.target}: {combine(args.target, args.sources, args.extra_files.split())} utterances")
    elif args.tool == "perturb_speed":
        perturb_speed(args.source, args.target, args.factor, args.nj, args.allow_pipes)
    elif args.tool == "report":
        output = args.output_dir or args.data_dirs[0] / "report"
        print(write_report(args.data_dirs, output))
        logging.info("%s/report.md", output)
    elif args.tool == "spk2utt" and args.path.is_dir():
        write_spk2utt(args.path)
    else:
        for key, words in inverted(args.path):
            print(key, " ".join(words))


def _subset(args: argparse.Namespace) -> None:
    listed = args.utt_list or args.spk_list or args.hours is not None
    if len(args.arguments) != (2 if listed else 3):
        raise UserError(
            "give SOURCE TARGET with --utt-list, --spk-list or --hours, otherwise SOURCE COUNT TARGET"
        )
    source, target = args.arguments[0], args.arguments[-1]
    if args.utt_list:
        keep = {key for key, _ in read_table(args.utt_list)}
    elif args.spk_list:
        keep = set(choose_speakers(source, args.spk_list))
    elif args.hours is not None:
        keep = set(choose_hours(source, args.hours))
    else:
        try:
            count = int(args.arguments[1])
        except ValueError:
            raise UserError(
                f"'{args.arguments[1]}' is no number of utterances: SOURCE COUNT TARGET"
            ) from None
        keep = set(choose(source, count=count, how=args.how))
    print(f"{target}: {subset(source, target, keep)} utterances")


if __name__ == "__main__":
    run_main(main)
