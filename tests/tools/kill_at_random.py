"""Kill the debug run at random moments, run it again, and compare its end with that of an undisturbed run.

    python tests/tools/kill_at_random.py --work DIR [--kills 20] [--seed 0] [-- options of run.sh]

Every kill is a SIGKILL or SIGTERM to run.sh or to any process below it. After each one every file that bears
its final name must be whole; at the end models, words and scores must be equal. Takes some debug runs, with
`-- --debug false` some whole ones.
The environment of XLSRT_PYTHON, or of the recipe, is used; Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOURNAL = ".done"
TAG = "XLSRT_KILL_AT_RANDOM"
HEEDED = 20  # seconds in which a run that heeds a signal has ended
# Of these, one run's differ from another's: clocks, process numbers, versions of files.
COMPARED = (
    "text",
    "token_int",
    "hyp.trn",
    "score.json",
    "wav.scp",
    "utt2num_samples",
    "speech_shape",
    "tokens.txt",
)


def run(work: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start run.sh; its processes are found by a variable of their environment."""
    env = {**os.environ, TAG: str(work), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [
        "bash",
        str(ROOT / "run.sh"),
        "--workdir",
        str(work),
        "--debug",
        "true",
        "--ngpu",
        "0",
        *options,
    ]
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "run.log", "ab") as log:
        return subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)


def processes(work: Path) -> list[int]:
    """Every living process of a run."""
    wanted, found = f"{TAG}={work}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            zombie = path.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not zombie and wanted in path.joinpath("environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def damage(work: Path) -> Iterator[str]:
    """Files that bear their final name and cannot be read to their end."""
    import soundfile
    import torch

    for path in sorted(work.rglob("*")):
        # A dump's journal has lines, of which the last may be cut; who reads it, skips that.
        if path.name == JOURNAL and "dump" in path.relative_to(work).parts:
            continue
        if not path.is_file() or path.suffix in (".new", ".tmp"):
            continue
        try:
            if path.suffix == ".pth":
                torch.load(path, map_location="cpu", weights_only=True)
            elif path.suffix in (".flac", ".wav"):
                soundfile.read(path)
            elif path.suffix == ".json" or path.name in (
                ".done",
                ".decoded",
                ".scored",
                ".formatted",
                ".written",
            ):
                json.loads(path.read_text(encoding="utf-8"))
        except Exception as error:  # any failure to read is what is looked for
            yield f"{path}: {error}"


def differences(ours: Path, theirs: Path) -> Iterator[str]:
    """Between the results of two finished runs: models, words, scores, data."""
    import torch

    for path in sorted(theirs.rglob("*")):
        name = path.relative_to(theirs)
        here = ours / name
        if path.suffix == ".pth" and path.name != "checkpoint.pth":
            if not here.exists():
                yield f"{name} is missing"
                continue
            one, other = (torch.load(p, map_location="cpu", weights_only=True) for p in (here, path))
            if one.keys() != other.keys() or not all(torch.equal(one[key], other[key]) for key in one):
                yield f"{name} has other weights"
        elif path.is_file() and path.name in COMPARED and "logdir" not in name.parts:
            mine = here.read_text(encoding="utf-8").replace(str(ours), "") if here.exists() else None
            if mine != path.read_text(encoding="utf-8").replace(str(theirs), ""):
                yield f"{name} differs"


def strike(
    work: Path, process: subprocess.Popen[bytes], signals: Sequence[signal.Signals], draw: random.Random
) -> str:
    """Signal run.sh or a process below it, and wait until nothing of the run is left.

    A SIGTERM may come too late for a process to heed it: then the run goes on, which is no reason to wait.
    """
    pids = processes(work) or [process.pid]
    victim = process.pid if draw.random() < 0.5 else draw.choice(pids)
    number = draw.choice(signals)
    name = "run.sh"
    try:
        name = (
            Path(f"/proc/{victim}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[-90:]
        )
        os.kill(victim, number)
    except OSError:
        pass
    try:
        process.wait(HEEDED)
    except subprocess.TimeoutExpired:
        return f"{number.name} to {name}, unheeded"
    end = time.monotonic() + 180
    while left := processes(work):
        if time.monotonic() > end:
            raise SystemExit(f"180 s after {number.name} to {name} these still run: {left}")
        time.sleep(0.2)
    return f"{number.name} to {name}"


def killed_run(
    work: Path,
    options: Sequence[str],
    signals: Sequence[signal.Signals],
    kills: int,
    wanted: int,
    seconds: float,
    draw: random.Random,
) -> tuple[int, list[str]]:
    """One run, killed and started again until it ends or there were `wanted` kills, and then left to end.

    Args:
        kills: how many there were before it. seconds: what an undisturbed run takes.

    Returns:
        How many kills there were then, and what was damaged.
    """
    bad: list[str] = []
    process = run(work, options)
    while True:
        # On average the run is cut into as many equal parts as there are kills, which so reach every stage.
        # A start costs some seconds, in which little is done.
        wait = draw.uniform(0, 2 * seconds / max(wanted, 1)) + 10 * draw.random()
        try:
            code = process.wait(wait if kills < wanted else None)
        except subprocess.TimeoutExpired:
            told = strike(work, process, signals, draw)
            kills += 1
            if process.poll() is not None:
                bad += [f"after kill {kills}: {text}" for text in damage(work)]
                process = run(work, options)
            print(f"kill {kills} after {wait:.0f} s: {told}; {len(bad)} damaged files", flush=True)
            continue
        if code:
            raise SystemExit(f"a run that nobody killed ended with code {code}: see {work}/run.log")
        return kills, bad


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        help="folder for the runs: new, or with the undisturbed run of an earlier call",
    )
    parser.add_argument("--kills", type=int, default=20, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of moments, victims and signals")
    parser.add_argument(
        "--signals", nargs="+", choices=("KILL", "TERM"), default=["KILL", "TERM"], help="which are sent"
    )
    parser.add_argument("options", nargs="*", help="-- options of run.sh for both runs")
    args = parser.parse_args(words)
    draw = random.Random(args.seed)
    signals = [signal.Signals[f"SIG{name}"] for name in args.signals]
    whole = args.work.resolve() / "whole"
    started = time.monotonic()
    if not (whole / "seconds").exists():
        if code := run(whole, args.options).wait():
            raise SystemExit(f"the undisturbed run ended with code {code}: see {whole}/run.log")
        (whole / "seconds").write_text(str(time.monotonic() - started))
    seconds = float((whole / "seconds").read_text())
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    kills, bad = 0, []
    for number in itertools.count(1):
        # A run may end before it has been killed often enough: then another one takes the rest.
        ours = args.work.resolve() / f"killed{number}"
        kills, found = killed_run(ours, args.options, signals, kills, args.kills, seconds, draw)
        bad += [*found, *differences(ours, whole)]
        if kills >= args.kills:
            break
    end = f"{kills} kills in {number} runs: all finished, no damaged file, equal to the undisturbed run"
    print("\n".join(bad) if bad else end)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
