"""Run a training command as several CPU ranks that meet through a file (gloo); one that fails ends them all.

Everything after ``--`` is the command; it gets ESPnet's ``--dist_*`` options added.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.recipe.step import die_with_parent


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
    # A file left by a killed run would make the new ranks wait for dead ones.
    args.meeting_point.unlink(missing_ok=True)
    shared = ["--multiprocessing_distributed", "false", "--dist_backend", "gloo"]
    shared += [
        "--dist_world_size",
        str(args.num_ranks),
        "--dist_init_method",
        f"file://{args.meeting_point.absolute()}",
    ]
    # Each rank is one of several that share the cores; with torch's default each would take them all.
    env = {"OMP_NUM_THREADS": "1", **os.environ}
    ranks = [
        subprocess.Popen(
            [*args.command, *shared, "--dist_rank", str(rank)], preexec_fn=die_with_parent, env=env
        )
        for rank in range(args.num_ranks)
    ]

    def forward(number: int, _frame: object) -> None:
        for rank in ranks:
            if rank.poll() is None:
                rank.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, forward)
    code = _wait(ranks)
    args.meeting_point.unlink(missing_ok=True)
    return code


def _wait(ranks: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one fails, end the others, which would wait for ever. Returns the first bad code."""
    while True:
        codes = [rank.poll() for rank in ranks]
        bad = [code for code in codes if code]
        if bad:
            for rank in ranks:
                rank.terminate()
            for rank in ranks:
                rank.wait()
            return bad[0] if bad[0] > 0 else 128 - bad[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(0.2)


if __name__ == "__main__":
    run_main(main)
