"""Run one step of the recipe unless its marker says that it is done with these inputs.

Everything after ``--`` is the command. Used by run.sh; see `xlsrt.recipe.step`.
"""

from __future__ import annotations

import argparse
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.processes import die_with_parent
from xlsrt.recipe.markers import STEP_VERSIONS, relevant_command
from xlsrt.recipe.step import Step, run_step


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run_step", description=__doc__)
    parser.add_argument("--title", required=True, help="what people read")
    parser.add_argument("--kind", required=True, choices=sorted(STEP_VERSIONS), help="kind of step")
    parser.add_argument("--marker", required=True, type=Path, help="file that says the step is done")
    parser.add_argument("--inputs", nargs="*", default=[], help="files that the result depends on")
    parser.add_argument(
        "--audio", nargs="*", default=[], help="wav.scp files among them whose audio counts by size and time"
    )
    parser.add_argument("--outputs", nargs="*", default=[], help="files that the step must leave")
    parser.add_argument(
        "--keeps_audio", action="store_true", help="a wav.scp of --outputs counts with the audio it names"
    )
    parser.add_argument("--log", type=Path, help="file for the command's output (default: the terminal)")
    parser.add_argument(
        "--cmd", default="", help="cluster backend that runs the command, with --log (default: run it here)"
    )
    parser.add_argument("command", nargs="+", help="-- program arguments...")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    # A killed run.sh takes its step with it: two runs must never work on one directory.
    die_with_parent(signal.SIGTERM)
    values = vars(args)
    backend = shlex.split(values.pop("cmd"))
    # Where it ran is no part of what it made.
    values["identity"] = relevant_command(args.command)
    if backend and args.log:
        values |= {"command": [*backend, str(args.log), *args.command], "follow": args.log, "log": None}
    return run_step(Step(**values))


if __name__ == "__main__":
    run_main(main)
