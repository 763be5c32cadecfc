"""What scripts written for Kaldi's run.pl count on: how many jobs run at a time, and words of the shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def most(folder: Path, wanted: int, cpus: int, gpus: int, *options: str) -> int:
    """How many of three jobs run at a time, at most; each waits a while for ``wanted`` of them."""
    listing = f"for gpu in $(seq {gpus}); do echo GPU $gpu; done"
    for name, text in {"nproc": f"echo {cpus}", "nvidia-smi": listing}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    shell = (
        "touch on.JOB; for i in $(seq 100); do [ $(ls on.* | wc -l) -lt WANTED ] || break; sleep 0.05; done; "
        "sleep 0.1; ls on.* | wc -l; rm on.JOB"
    ).replace("WANTED", str(wanted))
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    for log in folder.glob("*.log"):
        log.unlink()
    command = [ROOT / "utils/run.pl", *options, "JOB=1:3", "JOB.log", shell]
    subprocess.run(command, cwd=folder, env=env, check=True)
    lines = [line for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    counts = [int(line) for line in lines if line.isdigit()]
    assert len(counts) == 3
    return max(counts)


def test_no_more_jobs_than_processors_run_at_a_time(tmp_path: Path) -> None:
    assert most(tmp_path, 1, 1, 9) == 1
    assert most(tmp_path, 3, 3, 1, "--gpu", "0") == 3
    assert most(tmp_path, 1, 3, 1, "--gpu", "1") == 1
    assert most(tmp_path, 1, 1, 0, "--gpu", "1", "--mem", "1G") == 1
    # Whoever says how many is believed, and jobs that need each other wait for none.
    assert most(tmp_path, 2, 1, 0, "-V", "-tc", "2", "-l", "mem_free=1G,ram_free=1G", "-pe", "smp", "4") == 2
    assert most(tmp_path, 3, 1, 0, "--together", "true") == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["OMP_NUM_THREADS=7", "A=b c", "bash", "-c", 'echo "$OMP_NUM_THREADS/$A/JOB"'], "7/b c/1"),
        (["set", "-e;", "false;", "echo", "not reached"], None),
        (["set", "-e;", "echo", "a;b", "$HOME;", "A=$x", "|", "cat"], "a;b $HOME; A=$x"),
        ([".", "./script.sh;", "B=2", "printenv", "B"], "2"),
        (["A='x'", "printenv", "A"], "'x'"),
        (["printenv", "XLSRT_TRIED"], "it's here"),
    ],
)
def test_what_the_shell_alone_knows_runs_in_one(
    tmp_path: Path, words: list[str], expected: str | None
) -> None:
    (tmp_path / "script.sh").write_text("export B=1\n")
    env = {**os.environ, "XLSRT_TRIED": "it's here"}
    call = [ROOT / "utils/run.pl", "JOB=1:1", "x.JOB.log", *words]
    done = subprocess.run(call, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == (0 if expected else 1)
    lines = (tmp_path / "x.1.log").read_text(encoding="utf-8").splitlines()
    assert lines[1:-1] == ([expected] if expected else [])
