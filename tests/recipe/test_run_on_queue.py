"""run.sh with cmd_backend=slurm, on stand-ins: light steps, training by two ranks, decoding as an array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipe import fake_queue

ROOT = Path(__file__).resolve().parents[2]


def recipe(work: Path, place: str, backend: str, *words: str, code: int = 0) -> str:
    env = {**os.environ, "XLSRT_PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": "", "cmd_backend": backend}
    env |= {"PATH": f"{place}:{os.environ['PATH']}", "XLSRT_QUEUE_POLL_SECONDS": "1"}
    env.pop("XLSRT_PYTHON_BIN", None)
    command = ["bash", str(ROOT / "run.sh"), "--workdir", str(work), "--debug", "true", "--ngpu", "0"]
    command += [
        "--variants",
        "1",
        "--test_sets",
        "dev",
        "--decode_configs",
        "conf/decode_offline.yaml",
        *words,
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(1200)
def test_training_by_two_ranks_and_decoding_as_an_array(tmp_path: Path) -> None:
    place = fake_queue.install(tmp_path / "bin", sys.executable)["slurm"]
    queue = fake_queue.Queue(Path(place) / "queue")
    work = tmp_path / "work"
    output = recipe(work, place, "slurm", "--num_nodes", "2", "--inference_nj", "2", "--stop_stage", "11")
    calls = [(queue.root / job / "call.json").read_text(encoding="utf-8") for job in queue.jobs()]
    names = [queue.options(job)["job-name"] for job in queue.jobs()]
    light = ["format", "format", "tokens", "shapes", "shapes"]
    assert names == [*light, "asr_tiny_bpe40_stage1", "asr_inference.all"]
    assert '"--nodes", "2"' in calls[-2]
    assert '"--array", "1-2"' in calls[-1]
    exp = work / "exp/debug/asr_tiny_bpe40_stage1"
    assert ":0/2]" in (exp / "train.log").read_text(encoding="utf-8"), "two ranks"
    assert "1epoch results" in output, "the log is shown while the job runs"
    assert not list(exp.glob(".dist_init*"))
    logdir = exp / "decode_offline_valid.ter.ave/dev/logdir"
    logs = [(logdir / f"asr_inference.{job}.log").read_text(encoding="utf-8") for job in (1, 2)]
    assert all("ended with code 0" in log for log in logs)
    theirs = logdir.parent / "text"
    # The same model here: same words. Where a step ran is no reason to do it again.
    words = theirs.read_text(encoding="utf-8")
    (logdir.parent / ".decoded").unlink()
    for kept in logdir.glob("output.*/results.*"):
        kept.unlink()
    (logdir / "merged").unlink()
    output = recipe(work, place, "local", "--stage", "2", "--stop_stage", "10")
    assert output.count(": finished in") == 1
    assert "stage 10: dev with decode_offline, training stage 1: finished in" in output
    assert theirs.read_text(encoding="utf-8") == words
    assert recipe(work, place, "lsf", code=2).startswith("cmd.sh: error: cmd_backend=lsf is not known")
