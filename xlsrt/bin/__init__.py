"""Thin command lines: parse, call one function of the package, return an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from xlsrt.errors import UserError


def run_main(main: Callable[[], int | None]) -> None:
    """Run a command line's ``main`` and leave the process; 2 with one line for a `UserError`."""
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output (head, less) has left: that is no error of ours.
        sys.exit(0)
