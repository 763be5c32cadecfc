"""How many ranks a training takes by itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "utils/auto_ranks.sh"


def ranks(tmp_path: Path, cores: int, files: dict[str, str]) -> tuple[str, str]:
    """What the script prints on a machine with so many cores and these files, and what it says."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nproc").write_text(f"#!/bin/sh\necho ${{OMP_NUM_THREADS:-{cores}}}\n")
    (tmp_path / "bin/nproc").chmod(0o755)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [SCRIPT, tmp_path / "root"], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip(), done.stderr


def meminfo(gigabytes: float) -> dict[str, str]:
    return {"proc/meminfo": f"MemTotal:  {round(gigabytes * 1e9 / 1024)} kB\nMemFree: 1 kB\n"}


@pytest.mark.parametrize(
    ("cores", "gigabytes", "wanted"),
    [
        (2, 24, "2"),
        (64, 512, "4"),
        (64, 1000, "4"),
        (4, 8.3, "2"),
        (8, 11.9, "3"),
        (2, 2, "1"),
        (1, 500, "1"),
    ],
)
def test_cores_and_memory(tmp_path, cores, gigabytes, wanted):
    found, said = ranks(tmp_path, cores, meminfo(gigabytes))
    assert found == wanted
    fewer = int(wanted) < min(cores, 4)
    assert (f"{int(gigabytes)} GB of memory: trainings take {wanted} process(es)" in said) == fewer


@pytest.mark.parametrize(
    "files",
    [
        {"sys/fs/cgroup/memory.max": "6400000000\n"},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes": "6400000000\n"},
        {"proc/self/cgroup": "0::/user/me\n", "sys/fs/cgroup/user/me/memory.max": "6400000000\n"},
    ],
)
def test_a_container_has_less(tmp_path, files):
    assert ranks(tmp_path, 4, {**meminfo(64), **files})[0] == "2"


@pytest.mark.parametrize(
    "files",
    [
        {"sys/fs/cgroup/memory.max": "max\n"},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
        {"proc/self/cgroup": "1:name=systemd:/\n"},
    ],
)
def test_no_limit(tmp_path, files):
    assert ranks(tmp_path, 4, {**meminfo(64), **files}) == ("4", "")


def test_a_system_that_does_not_say(tmp_path):
    assert ranks(tmp_path, 3, {}) == ("3", "")
