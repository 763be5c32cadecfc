"""Cases measured side by side: every round runs each once, so that a busy machine slows all of them alike."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from xlsrt.errors import UserError


@dataclass(frozen=True)
class Case:
    """What to run, and how many seconds of audio (or other units of work) it covers."""

    run: Callable[[], object]
    seconds: float


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds per unit of work of the best round, and the ratio to the first case."""

    name: str
    wall: float
    cpu: float
    ratio: float


def add_arguments(parser: argparse.ArgumentParser, cases: Sequence[str], default: Sequence[str]) -> None:
    """The options that every kind of benchmark has."""
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: %(default)s)")
    parser.add_argument(
        "--cases",
        default=",".join(default),
        help=f"comma-separated, of: {','.join(cases)} (default: %(default)s)",
    )


def begin(args: argparse.Namespace, known: Sequence[str]) -> list[str]:
    """Set threads and say under what conditions the figures come about; returns the cases asked for."""
    cases = args.cases.split(",")
    unknown = sorted(set(cases) - set(known))
    if unknown:
        raise UserError(f"--cases: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    if args.rounds < 1:
        raise UserError("--rounds must be at least 1")
    check_machine(args)
    return cases


def check_machine(args: argparse.Namespace) -> None:
    """Set threads; raise `UserError` where there is no such device."""
    if args.threads < 1:
        raise UserError("--threads must be at least 1")
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {args.device}: PyTorch sees no CUDA device here; use --device cpu")
    torch.set_num_threads(args.threads)


def conditions(args: argparse.Namespace) -> str:
    """Threads, versions, device and the load of the machine, for the head of a table."""
    device = args.device
    if torch.device(device).type == "cuda":
        device = f"{device} ({torch.cuda.get_device_name(device)})"
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else "unknown"
    return f"{args.threads} thread(s), torch {torch.__version__}, {device}, load {load}"


@contextmanager
def busy(processes: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that each keep a core busy while the block runs, as other work on a machine does."""
    others = []
    try:
        for _ in range(processes):
            others.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        yield others
    finally:
        for other in others:
            other.kill()
            other.wait()


def synchronize(device: str) -> None:
    """Wait for what a GPU still has to do; nothing on a CPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def measure(todo: Mapping[str, Case], rounds: int, device: str) -> list[Cost]:
    """Run all cases ``rounds`` times, after one round that warms up, and keep the best of each.

    Ratios are of CPU time with one CPU thread (what other processes disturb least), of wall time elsewhere.
    """
    best: dict[str, tuple[float, float]] = {}
    with torch.no_grad():
        for turn in range(rounds + 1):
            for name, case in todo.items():
                wall, cpu = time.perf_counter(), time.process_time()
                case.run()
                synchronize(device)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if turn:
                    old = best.get(name, (float("inf"), float("inf")))
                    best[name] = (min(old[0], wall / case.seconds), min(old[1], cpu / case.seconds))
    which = 1 if torch.get_num_threads() == 1 and torch.device(device).type == "cpu" else 0
    base = next(iter(best.values()))[which]
    return [Cost(name, *times, times[which] / base) for name, times in best.items()]


def print_table(costs: Sequence[Cost], unit: str = "s") -> None:
    """One line per case; ``unit``: of the work that the cost is per."""
    print(f"{'case':<64} {'wall s/' + unit:>9} {'CPU s/' + unit:>9} {'ratio':>6}")
    for cost in costs:
        print(f"{cost.name:<64} {cost.wall:>9.4f} {cost.cpu:>9.4f} {cost.ratio:>6.2f}", flush=True)
