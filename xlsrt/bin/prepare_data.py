"""Make Kaldi data directories from a corpus: prepare_data KIND [options]; prepare_data KIND --help lists
them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from xlsrt.bin import run_main
from xlsrt.data.readers import add_common_arguments, find_readers, load_reader


def get_parser(kinds: Sequence[str] | None = None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.prepare_data", description=__doc__)
    subparsers = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for kind in find_readers() if kinds is None else kinds:
        reader = load_reader(kind)
        one = subparsers.add_parser(
            kind,
            help=reader.HELP,
            # What the corpus looks like on disk and which sets come of it.
            description=(reader.__doc__ or reader.HELP).replace("``", ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        reader.add_arguments(one)
        add_common_arguments(one)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if cmd is None else cmd)
    # Only the reader that is asked for is imported, so that one's missing library is no other's trouble.
    asked = [word for word in words[:1] if word in find_readers()]
    args = get_parser(asked or None).parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load_reader(args.kind).prepare(args)


if __name__ == "__main__":
    run_main(main)
