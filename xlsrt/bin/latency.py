"""Delays of the words of sets decoded in streaming mode, where it is known when the words were said."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.latency", description=__doc__)
    parser.add_argument(
        "decoded",
        nargs="+",
        type=Path,
        help="output directories of asr_decode; latency.json is put into each",
    )
    parser.add_argument(
        "--word_times", type=Path, required=True, help="CTM of the reference, e.g. data/test/word_times.ctm"
    )
    parser.add_argument("--quiet", action="store_true", help="write the files, print no table")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from xlsrt.report.latency import HEADER, write_latency
    from xlsrt.report.results import plain_table

    rows = [(str(path), *write_latency(path, args.word_times).row()) for path in args.decoded]
    if not args.quiet:
        print("milliseconds of audio\n" + plain_table(HEADER, rows))


if __name__ == "__main__":
    run_main(main)
