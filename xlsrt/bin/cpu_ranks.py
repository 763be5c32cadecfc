"""Run a training command as several CPU ranks that meet through a file (gloo); one that fails ends them all.

Everything after ``--`` is the command; it gets ESPnet's ``--dist_*`` options added.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.recipe.ranks import run_ranks


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cpu_ranks", description=__doc__)
    parser.add_argument("--num_ranks", type=int, required=True, help="number of processes")
    parser.add_argument(
        "--meeting_point", type=Path, required=True, help="file that the ranks make and meet at"
    )
    parser.add_argument("command", nargs="+", help="-- program arguments...")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    return run_ranks(args.command, args.num_ranks, args.meeting_point)


if __name__ == "__main__":
    run_main(main)
