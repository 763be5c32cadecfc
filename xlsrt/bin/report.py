"""Make the report: one HTML file with tables, figures, training curves and an error browser."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import make_room, run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.report", description=__doc__)
    parser.add_argument("--expdir", type=Path, default=Path("exp"), help="folder of experiments")
    parser.add_argument("--output", type=Path, help="HTML file (default: report/index.html below --expdir)")
    parser.add_argument("--audio_megabytes", type=float, default=12.0, help="most sound in the page; 0: none")
    parser.add_argument(
        "--attention",
        type=yes_or_no,
        default=True,
        help="measure attention of the last model on an utterance",
    )
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")
    parser.add_argument("--title", default="", help="head of the page")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    from xlsrt.report.page import write_report

    output = args.output or args.expdir / "report" / "index.html"
    if not args.expdir.is_dir():
        raise UserError(f"--expdir {args.expdir}: there is no such folder")
    make_room(output)
    write_report(args.expdir, output, args.audio_megabytes, args.title, args.attention)
    if not args.quiet:
        print(f"report: {output}")


if __name__ == "__main__":
    run_main(main)
