"""Thin command lines: parse, call one function of the package, return an exit code."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xlsrt.errors import QUIET, UserError
from xlsrt.files import CANNOT_WRITE


def run_main(main: Callable[[], int | None]) -> None:
    """Run a command line's ``main`` and leave the process; 2 with one line for a `UserError`."""
    if os.environ.get(QUIET) == "true":
        logging.disable(logging.INFO)
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("", "xlsrt"):
            raise
        print(
            f"error: this needs the package {missing}, which is not installed: install xlsrt[train], it "
            "brings all that trainings, scores and reports need",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        # Who waits for us is to see a signal, as from any program; where we were is of no interest.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        print("interrupted", file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BrokenPipeError:
        # The reader of our output (head, less) has left: that is no error of ours.
        sys.exit(0)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        # Of a file that is open already the system does not say the name: it is the room that is wanting.
        problem = f"{error.filename or 'a file'}: cannot be read or written ({error.strerror})"
        print(f"error: {problem}: mend that, or choose another place", file=sys.stderr)
        sys.exit(2)


def make_room(file: Path) -> None:
    """Make the folder of a file that is to be written, before the work whose result it takes.

    Raises:
        UserError: it cannot be written there.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{file.parent}: cannot be made ({error.strerror}): choose another place") from None
    if file.is_dir():
        raise UserError(f"{file} is a folder: name a file in it")
    if not os.access(file.parent, os.W_OK):
        raise UserError(f"{file.parent}: no permission to write there: choose another place")


def check_needs(args: argparse.Namespace, **needs: str) -> None:
    """Refuse options that have no effect without another: ``left_ms="chunk_ms"``."""
    for name, other in needs.items():
        if getattr(args, name) not in (None, False) and not getattr(args, other):
            raise UserError(f"--{name} is for --{other}, which is not given")


def add_fusion_options(parser: argparse.ArgumentParser) -> None:
    """Options of what a beam search adds to the model's scores: a language model, phrases to favour."""
    group = parser.add_argument_group("beam search only")
    group.add_argument(
        "--lm",
        type=Path,
        metavar="FILE",
        help="n-gram language model (ARPA, also .gz), or ngram: the model's own",
    )
    group.add_argument("--lm_weight", type=float, help="weight of its logarithms (default: 0.3)")
    group.add_argument(
        "--lm_unit", choices=["token", "word"], help="what its n-grams are made of (default: token)"
    )
    group.add_argument(
        "--lodr",
        type=Path,
        metavar="FILE",
        help="bigram model (ARPA) of the tokens of the training transcripts, or bigram: the model's own. Its "
        "scores are taken off: what the transducer knows already then counts once",
    )
    group.add_argument("--lodr_weight", type=float, help="weight of its logarithms (default: 0.3)")
    group.add_argument(
        "--phrases", type=Path, metavar="FILE", help="phrases to favour, one a line, `<tab>score` if you like"
    )
    group.add_argument("--phrase_score", type=float, help="for each token of a phrase (default: 1.0)")


def fusion_values(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of a search that `add_fusion_options` were given."""
    names = ("lm", "lm_weight", "lm_unit", "lodr", "lodr_weight", "phrases", "phrase_score")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
