"""Write the shape files that ESPnet's batch sampler reads, from a dump and the token model; names what it
drops.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.data.shapes import LengthFilter, write_shapes


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.write_shapes", description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="dump of a set, such as dump/raw/train")
    parser.add_argument("--output_dir", type=Path, required=True, help="such as exp/asr_stats_bpe100/train")
    parser.add_argument("--token_type", choices=("bpe", "char"), default="bpe", help="(default: %(default)s)")
    parser.add_argument("--token_list", type=Path, required=True, help="tokens.txt")
    parser.add_argument("--bpemodel", type=Path, help="bpe.model, for --token_type bpe")
    parser.add_argument(
        "--min_seconds", type=float, default=0.1, help="shorter ones leave (default: %(default)s)"
    )
    parser.add_argument(
        "--max_seconds", type=float, default=30.0, help="longer ones leave (default: %(default)s)"
    )
    parser.add_argument(
        "--tokens_fit", type=yes_or_no, default=True, help="whether those with more tokens than frames leave"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_shapes(
        args.data_dir,
        args.output_dir,
        token_type=args.token_type,
        token_list=args.token_list,
        bpemodel=args.bpemodel,
        bounds=LengthFilter(args.min_seconds, args.max_seconds, args.tokens_fit),
    )


if __name__ == "__main__":
    run_main(main)
