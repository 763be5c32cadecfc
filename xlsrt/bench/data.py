"""Cost of preparing data: time and peak memory of stages 1 to 4 and of the report, each a process of its own.

The corpus is made for it: a release of Common Voice with metadata of as many clips as asked for, all of them
one MP3 file of a second under many names.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.errors import UserError

HELP = "stages 1 to 4 on a corpus of any size made for it: seconds and peak memory"

_WORDS = [
    "aasta",
    "ema",
    "elu",
    "inimene",
    "ja",
    "kool",
    "laps",
    "linn",
    "naine",
    "oli",
    "päev",
    "sõna",
    "öö",
]
# A process counts the memory of the one that started it as its own; so a small one starts them.
_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
_ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--utterances", type=int, nargs="+", default=[10_000, 100_000], help="sizes (default: 10000 100000)"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel processes (default: %(default)s)")
    parser.add_argument(
        "--work_dir", help="where the corpora are made and removed (default: a temporary folder)"
    )


def run(args: argparse.Namespace) -> None:
    if min(args.utterances) < 1000:
        raise UserError(f"--utterances {min(args.utterances)}: at least 1000, or nothing is measured")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, --nj {args.nj}\n")
    print("| utterances | step | wall s | CPU s | peak MB |\n|---|---|---|---|---|")
    for count in args.utterances:
        with tempfile.TemporaryDirectory(dir=args.work_dir) as folder:
            root = Path(folder)
            write_release(root / "cv", count)
            for name, command in steps(root, args.nj).items():
                wall, cpu, peak = measure(command, root / "log")
                print(f"| {count:,} | {name} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |", flush=True)


def steps(root: Path, nj: int) -> dict[str, list[str]]:
    """The commands of run.sh."""
    data, dump, tokens = root / "data" / "train", root / "dump", root / "tokens"
    plan = {
        "1 prepare": ["prepare_data", "common_voice", "--source", root / "cv", "--output_dir", root / "data"],
        "2 format": [
            "format_data",
            "--data_dir",
            data,
            "--output_dir",
            dump,
            "--audio_format",
            "auto",
            "--nj",
            nj,
        ],
        "3 tokens": ["train_tokens", "--text", dump / "text", "--output_dir", tokens, "--nbpe", 40],
        "4 shapes": ["write_shapes", "--data_dir", dump, "--output_dir", root / "stats"],
        "report": ["data_dir", "report", dump],
    }
    plan["4 shapes"] += ["--token_list", tokens / "tokens.txt", "--bpemodel", tokens / "bpe.model"]
    return {
        name: [sys.executable, "-m", f"xlsrt.bin.{words[0]}", *map(str, words[1:])]
        for name, words in plan.items()
    }


def write_release(root: Path, count: int, seed: int = 0) -> None:
    """``<root>/et``: ``count`` rows of train by a tenth as many speakers, a hundred each of dev and test."""
    rng = random.Random(seed)
    clips = root / "et" / "clips"
    clips.mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(32000)
    soundfile.write(root / "one.mp3", noise, 32000)
    first = 0
    for part, rows in (("train", count), ("dev", 100), ("test", 100)):
        with open(root / "et" / f"{part}.tsv", "w", encoding="utf-8") as stream:
            stream.write(
                "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n"
            )
            for number in range(first, first + rows):
                clip = f"common_voice_et_{number}.mp3"
                os.symlink(root / "one.mp3", clips / clip)
                sentence = " ".join(rng.choices(_WORDS, k=rng.randint(1, 3))).capitalize()
                client = hashlib.sha512(f"{part} {number // 10}".encode()).hexdigest()
                stream.write(f"{client}\t{clip}\t{sentence}.\t2\t0\t\t\t\tet\t\n")
        first += rows


def measure(command: list[str], log: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds with all its processes, and MB of the largest of them.

    Raises:
        UserError: it failed; with the end of what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", _LAUNCHER, *command]
    start = time.perf_counter()
    with open(log, "w", encoding="utf-8") as stream:
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            cwd=log.parent,
            env=environment,
            check=False,
        )
    wall = time.perf_counter() - start
    code, cpu, peak = done.stdout.split()
    if code != "0":
        raise UserError(f"{' '.join(command[2:4])} failed: {log.read_text(encoding='utf-8')[-500:]}")
    return wall, float(cpu), float(peak) / 1024
