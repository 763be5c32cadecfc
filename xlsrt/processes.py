"""How processes are asked to end, and that none outlives the one that started it, however that one ends."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys

# SIGUSR1 is the word of Slurm before a limit of time, SIGUSR2 that of Grid Engine, there and before a qdel.
TO_SAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""Ask a training to save and to leave."""
TO_END = (*TO_SAVE, signal.SIGHUP)
"""Are handed on to a command by who waits for it."""

_PR_SET_PDEATHSIG = 1


def say_if_killed(rank: int, code: int | None) -> None:
    """Say of a rank that a signal ended what it could not; those that were asked to end say so themselves."""
    if code is None or code >= 0 or -code in TO_END:
        return
    memory = ", most likely for want of memory: lower batch_bins or num_workers, or use a larger machine"
    why = memory if -code == signal.SIGKILL else ""
    print(f"error: rank {rank} was killed by signal {signal.Signals(-code).name}{why}", file=sys.stderr)


def die_with_parent(sig: int = signal.SIGTERM) -> None:
    """Ask Linux to send this process a signal when its parent dies, however it dies. Elsewhere: nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sig))


def end_with_parent() -> None:
    """In a process that multiprocessing has spawned: end at once, without a word, when its parent ends, and
    now if that has ended already. Without this it would work on, or wait for work for ever, beside a rerun.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent.pid:
        os._exit(1)
