"""Compare decodings of one set with one of them: table with paired bootstrap intervals and tests."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import check_needs, make_room, run_main
from xlsrt.files import write_text


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.compare", description=__doc__)
    parser.add_argument("--expdir", type=Path, default=Path("exp"), help="folder of scored experiments")
    parser.add_argument("--dataset", required=True, help="the set, such as test_long")
    parser.add_argument(
        "--models", nargs="+", default=[], help="training stages (5a 5b) or experiments (default: all)"
    )
    parser.add_argument("--decodings", nargs="+", default=[], help="parts of decodings' names (default: all)")
    parser.add_argument("--baseline", help="what the others are compared with: 5d, or '5d left_1280ms'")
    parser.add_argument("--output", type=Path, help="also write the table to this file, in Markdown")
    parser.add_argument("--quiet", action="store_true", help="write --output, print no table")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    check_needs(args, quiet="output")
    if args.output:
        make_room(args.output)
    from xlsrt.report.comparison import compare_decoded, comparison_table, pick_baseline, select

    decoded = select(args.expdir, args.dataset, args.models, args.decodings)
    rows = compare_decoded(decoded, pick_baseline(decoded, args.baseline))
    if not args.quiet:
        print(comparison_table(rows))
    if args.output:
        write_text(args.output, comparison_table(rows, markdown=True) + "\n")


if __name__ == "__main__":
    run_main(main)
