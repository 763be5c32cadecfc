"""The corpora that `prepare_data` knows. A reader is a module of this package with

* ``NAME = "..."``: what stands after ``prepare_data``; ``HELP``: one line;
* ``add_arguments(parser)``: its options; ``--output_dir``, ``--nj`` and ``--seed`` are there for all;
* ``prepare(args) -> None``: writes Kaldi data directories ``<output_dir>/<set>``.

To add a corpus, write the module: it is found by its ``NAME`` line, without being imported.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

_NAME = re.compile(r'^NAME = "(\w+)"$', re.MULTILINE)


def find_readers() -> dict[str, str]:
    """Kind to module name, sorted."""
    kinds = {}
    for path in Path(__file__).parent.glob("*.py"):
        match = _NAME.search(path.read_text(encoding="utf-8"))
        if match:
            kinds[match[1]] = f"{__package__}.{path.stem}"
    return dict(sorted(kinds.items()))


class Reader(Protocol):
    """The interface of a reader module."""

    NAME: str
    HELP: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    prepare: Callable[[argparse.Namespace], None]


def load_reader(kind: str) -> Reader:
    """Import the reader of a kind."""
    return cast(Reader, importlib.import_module(find_readers()[kind]))


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every reader has, unless it has declared its own."""
    taken = parser._option_string_actions
    if "--output_dir" not in taken:
        parser.add_argument(
            "--output_dir", default="data", help="the sets are made in here (default: %(default)s)"
        )
    if "--nj" not in taken:
        parser.add_argument("--nj", type=int, default=1, help="parallel processes (default: %(default)s)")
    if "--seed" not in taken:
        parser.add_argument("--seed", type=int, default=0, help="same seed, same data (default: %(default)s)")
