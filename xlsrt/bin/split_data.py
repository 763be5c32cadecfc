"""Split a set's files for training on corpora whose list of utterances is too large for memory.

Used by stage 4 of run.sh with --num_splits_asr above 1; ESPnet's multiple_iterator reads the result.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.split_data", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="wav.scp, text, shape files ... of one set")
    parser.add_argument("--num_splits", type=int, required=True, help="how many parts")
    parser.add_argument("--output_dir", type=Path, required=True, help="receives a folder for each file")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from xlsrt.data.splits import split_files

    counts = split_files(args.files, args.num_splits, args.output_dir)
    print(f"{sum(counts)} utterances in {len(counts)} splits of {min(counts)} to {max(counts)}")


if __name__ == "__main__":
    run_main(main)
