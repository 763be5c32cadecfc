"""Several CPU ranks of one training: processes that meet through a file (gloo) and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlsrt.processes import TO_SAVE, die_with_parent, say_if_killed


def run_ranks(command: Sequence[str], num_ranks: int, meeting_point: Path) -> int:
    """Run ``command`` once for each rank, with ESPnet's ``--dist_*`` options added, and wait for all.

    Signals to end or to save are passed on to the ranks meanwhile.

    Returns 0, or the exit code of the first rank that failed; the others are then ended.
    """
    # A file left by a killed run would make the new ranks wait for dead ones.
    meeting_point.unlink(missing_ok=True)
    shared = ["--multiprocessing_distributed", "false", "--dist_backend", "gloo"]
    shared += [
        "--dist_world_size",
        str(num_ranks),
        "--dist_init_method",
        f"file://{meeting_point.absolute()}",
    ]
    # Each rank is one of several that share the cores; with torch's default each would take them all.
    env = {"OMP_NUM_THREADS": "1", **os.environ}
    # What was handed to us stays open in them: the step's lock is theirs too, until the last has gone.
    how: dict[str, Any] = {"preexec_fn": die_with_parent, "env": env, "close_fds": False}
    ranks = [
        subprocess.Popen([*command, *shared, "--dist_rank", str(rank)], **how) for rank in range(num_ranks)
    ]

    def forward(number: int, _frame: object) -> None:
        for rank in ranks:
            if rank.poll() is None:
                rank.send_signal(number)

    before = {number: signal.signal(number, forward) for number in TO_SAVE}
    try:
        return _wait(ranks)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        meeting_point.unlink(missing_ok=True)


def _wait(ranks: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one fails, end the others, which would wait for ever. Returns the first bad code."""
    while True:
        codes = [rank.poll() for rank in ranks]
        bad = [code for code in codes if code]
        if bad:
            for number, code in enumerate(codes):
                say_if_killed(number, code)
            for rank in ranks:
                rank.terminate()
            for rank in ranks:
                rank.wait()
            return bad[0] if bad[0] > 0 else 128 - bad[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(0.2)
