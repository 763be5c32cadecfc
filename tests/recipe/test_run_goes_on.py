"""When run.sh goes on with its next stages, and with which exit code it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, answer: str, *words: str) -> subprocess.CompletedProcess[str]:
    """run.sh with a Python that only notes the steps, for which ``answer``, a case of bash, stands first."""
    python = folder / "python"
    python.write_text(
        f"""#!/usr/bin/env bash
case "$2" in
  {answer} ;;
  xlsrt.bin.check_start) ;;
  xlsrt.bin.list_variants) echo 5b ;;
  xlsrt.bin.run_step) echo "$4" >> {folder}/steps ;;
  xlsrt.bin.train_stage) echo "run.sh training: $4" >> {folder}/steps ;;
  *) exec {sys.executable} "$@" ;;
esac
""",
        encoding="utf-8",
    )
    python.chmod(0o755)
    env = {**os.environ, "XLSRT_PYTHON": str(python), "XLSRT_PYTHON_BIN": str(python)}
    given = ["--workdir", str(folder / "work"), "--ngpu", "0", "--num_nodes", "1", *words]
    return subprocess.run(["bash", str(ROOT / "run.sh"), *given], env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("scoring", "code", "steps"),
    [(0, 0, "stage 12, stage 13"), (3, 3, "stage 12, stage 13"), (2, 2, ""), (143, 143, "")],
)
def test_stages_after_scoring(tmp_path: Path, scoring: int, code: int, steps: str) -> None:
    """3 is of sets that were left out; every other failure ends the run, a signal's too."""
    done = run(tmp_path, f"xlsrt.bin.evaluate) exit {scoring}", "--stage", "11")
    assert done.returncode == code, done.stderr
    made = tmp_path / "steps"
    lines = made.read_text(encoding="utf-8").splitlines() if made.is_file() else []
    assert ", ".join(line.split(":")[0].removeprefix("run.sh ") for line in lines) == steps


def test_a_stage_whose_variants_cannot_be_listed_ends_the_run(tmp_path: Path) -> None:
    """It was passed over, and what came after it went on with older models."""
    done = run(tmp_path, "xlsrt.bin.list_variants) kill -9 $$", "--stage", "9")
    assert done.returncode == 137, done.stderr
    assert not (tmp_path / "steps").exists()
