from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from xlsrt.recipe.ranks import run_ranks

WRITE = "import sys, json; rank = sys.argv[-1]; json.dump(sys.argv[2:], open(sys.argv[1] + '/r' + rank, 'w'))"


def run(tmp_path: Path, script: str) -> int:
    return run_ranks([sys.executable, "-c", script, str(tmp_path)], 2, tmp_path / "meet")


def test_every_rank_learns_who_it_is(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "meet").write_text("left by a killed run", encoding="utf-8")
    assert run(tmp_path, WRITE) == 0
    for rank in "01":
        words = json.loads((tmp_path / f"r{rank}").read_text(encoding="utf-8"))
        assert words[words.index("--dist_world_size") + 1] == "2"
        assert words[words.index("--dist_backend") + 1] == "gloo"
        assert words[words.index("--dist_init_method") + 1] == f"file://{tmp_path / 'meet'}"
    assert not (tmp_path / "meet").exists()
    # The caller's own children would inherit what is left.
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_dead_rank_ends_the_others(tmp_path: Path) -> None:
    started = time.monotonic()
    script = "import sys, time; time.sleep(0 if sys.argv[-1] == '1' else 60); sys.exit(5)"
    assert run(tmp_path, script) == 5
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_rank_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str], number: int) -> None:
    """It cannot say anything itself; one that was asked to end needs no word."""
    script = "import os, sys, time; sys.argv[-1] == '1' and os.kill(os.getpid(), NUMBER); time.sleep(60)"
    assert run(tmp_path, script.replace("NUMBER", str(int(number)))) == 128 + number
    said = "error: rank 1 was killed by signal SIGKILL, most likely for want of memory"
    assert capfd.readouterr().err.startswith(said) == (number == signal.SIGKILL)


def test_the_lock_of_a_step_is_its_ranks_too(tmp_path: Path) -> None:
    """Or a rerun could begin while the last one still saves."""
    with open(tmp_path / "lock", "w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        script = f"import os; assert os.fstat({lock.fileno()}).st_ino == {os.fstat(lock.fileno()).st_ino}"
        assert run(tmp_path, script) == 0
