"""run.sh makes the report where some sets could not be scored, and says so with its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("scoring", "code", "steps"),
    [(0, 0, "stage 12, stage 13"), (3, 3, "stage 12, stage 13"), (2, 2, ""), (143, 143, "")],
)
def test_stages_after_scoring(tmp_path: Path, scoring: int, code: int, steps: str) -> None:
    """3 is of sets that were left out; every other failure ends the run, a signal's too."""
    python = tmp_path / "python"
    python.write_text(
        f"""#!/usr/bin/env bash
case "$2" in
  xlsrt.bin.evaluate) exit {scoring} ;;
  xlsrt.bin.check_start) ;;
  xlsrt.bin.list_variants) echo 5b ;;
  xlsrt.bin.run_step) echo "$4" >> {tmp_path}/steps ;;
  *) exec {sys.executable} "$@" ;;
esac
""",
        encoding="utf-8",
    )
    python.chmod(0o755)
    env = {**os.environ, "XLSRT_PYTHON": str(python), "XLSRT_PYTHON_BIN": str(python)}
    words = ["--workdir", str(tmp_path / "work"), "--ngpu", "0", "--num_nodes", "1", "--stage", "11"]
    done = subprocess.run(["bash", str(ROOT / "run.sh"), *words], env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    made = tmp_path / "steps"
    lines = made.read_text(encoding="utf-8").splitlines() if made.is_file() else []
    assert ", ".join(line.split(":")[0].removeprefix("run.sh ") for line in lines) == steps
