"""Measure what parts of the system cost beside others': ``python -m xlsrt.bin.bench encoder``."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from xlsrt.bench import KINDS
from xlsrt.bin import run_main


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name in KINDS:
        module = importlib.import_module(f"xlsrt.bench.{name}")
        kind = kinds.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(kind)
        kind.set_defaults(run=module.run)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    args.run(args)


if __name__ == "__main__":
    run_main(main)
