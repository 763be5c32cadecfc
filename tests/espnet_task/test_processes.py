"""Trainings in processes of their own: two ranks, and kill -9."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml
from torch.multiprocessing import ProcessExitedException

from tests.espnet_task.test_training import Killed, kill_at
from tests.espnet_task.tones import (
    PLAIN,
    Corpus,
    Train,
    largest_difference,
    settings,
    write_corpus,
    write_languages,
)
from xlsrt.espnet_task import shared_task
from xlsrt.espnet_task.task import XlsrASRTask

REPOSITORY = Path(__file__).resolve().parents[2]


def start(
    corpus: Corpus, config: Path, output: Path, *options: str, how: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """``python -m xlsrt.bin.asr_train`` as a user starts it, or ``how`` else."""
    command = [
        sys.executable,
        *(how or ("-m", "xlsrt.bin.asr_train")),
        "--config",
        str(config),
        "--output_dir",
        str(output),
    ]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        [*command, *corpus.options, *options],
        cwd=REPOSITORY,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for all; the first one's output. All outputs explain a failure, with stacks where one hung."""

    def wait(process: subprocess.Popen[str]) -> str:
        try:
            output, _ = process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            output, _ = process.communicate()
        if process.returncode != code:
            # The others would wait for it.
            for other in processes:
                other.send_signal(signal.SIGABRT)
        return output

    with ThreadPoolExecutor(len(processes)) as pool:
        outputs = list(pool.map(wait, processes))
    codes = [process.returncode for process in processes]
    assert set(codes) == {code}, f"{codes}\n" + "\n---\n".join(output[-4000:] for output in outputs)
    return outputs[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sharded", [False, True])
def test_two_ranks_train_as_one_process(
    corpus: Corpus, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharded: bool
) -> None:
    changes = {
        "encoder_conf": {"config": PLAIN, "train_context": {"chunk_ms": 320, "left_ms": 320}},
        "batch_type": "sorted",
        "batch_size": 6,
        "valid_batch_size": 2,
        "max_epoch": 2,
        "optim_conf": {"lr": 0.001},
        "accum_grad": 2,
    }
    one = train("one", **changes)
    config = tmp_path / "two.yaml"
    config.write_text(yaml.safe_dump(settings(**changes, sharded=sharded)))
    if sharded:
        # From a checkpoint of one process, saved in the middle of the first epoch.
        with monkeypatch.context() as patch:
            kill_at(patch, 2)
            with pytest.raises(Killed):
                train("two", **changes, checkpoint_seconds=0.0)
    store = f"file://{tmp_path / 'rendezvous'}"
    ranks = [
        start(
            corpus,
            config,
            tmp_path / "two",
            *("--multiprocessing_distributed", "false", "--dist_world_size", "2", "--dist_rank", str(rank)),
            *("--dist_backend", "gloo", "--dist_init_method", store),
        )
        for rank in range(2)
    ]
    finish(*ranks)
    ours, theirs = (
        torch.load(directory / "checkpoint.pth", weights_only=True)["reporter"]
        for directory in (tmp_path / "two", one)
    )
    for epoch in (1, 2):
        for phase, key in (
            ("train", "loss"),
            ("train", "loss_ctc"),
            ("train", "grad_norm"),
            ("valid", "loss"),
        ):
            assert ours[epoch][phase][key] == pytest.approx(theirs[epoch][phase][key], rel=1e-4), (
                epoch,
                phase,
                key,
            )
        assert ours[epoch]["valid"]["ter"] == pytest.approx(theirs[epoch]["valid"]["ter"], abs=0.01)
    assert largest_difference(tmp_path / "two" / "latest.pth", one / "latest.pth") < 1e-3


STOPPING = """
import sys
from xlsrt.bin.asr_train import main
from xlsrt.espnet_task.training_run import TrainingRun
save = TrainingRun._save
def leave(self, position):
    save(self, position)
    self.ranks.meet()
    raise SystemExit(9)
TrainingRun._save = leave
main(sys.argv[1:])
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("parts", [1, 2])
def test_two_ranks_go_on_drawing_each_where_it_was(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    """Dropout draws by the shapes of a rank's batches, and a balance of languages by rank and part. No GPU
    may be seen, as an empty variable says.
    """
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    config = tmp_path / "two.yaml"
    balance = {}
    if parts > 1:
        corpus = write_corpus(tmp_path / "languages", train=16)
        write_languages(corpus, train=16)
        corpus, balance = corpus.in_parts(tmp_path / "parts", parts), {"language_balance": 0.0}
    encoder = {"config": PLAIN | {"hidden_dropout": 0.3}, "train_context": {"chunk_ms": 320, "left_ms": 320}}
    config.write_text(
        yaml.safe_dump(
            settings(encoder_conf=encoder, batch_bins=60000, max_epoch=1, checkpoint_seconds=0.0, **balance)
        )
    )

    runs: list[str] = []

    def run(name: str, code: int, *how: str) -> str:
        options = [
            "--multiprocessing_distributed",
            "false",
            "--dist_world_size",
            "2",
            "--dist_backend",
            "gloo",
        ]
        # A file of its own: one that was left behind would make the next ranks wait for dead ones.
        options += ["--dist_init_method", f"file://{tmp_path / f'rendezvous{len(runs)}'}"]
        runs.append(name)
        ranks = [
            start(corpus, config, tmp_path / name, *options, "--dist_rank", str(rank), how=how)
            for rank in range(2)
        ]
        return finish(*ranks, code=code)

    run("whole", 0)
    run("stopped", 9, "-c", STOPPING)
    assert ", batch 1 of " in run("stopped", 0)
    assert largest_difference(tmp_path / "whole" / "latest.pth", tmp_path / "stopped" / "latest.pth") == 0


@pytest.mark.timeout(300)
def test_kill_9_and_start_again(corpus: Corpus, train: Train, tmp_path: Path) -> None:
    changes = {"max_epoch": 6, "checkpoint_seconds": 0.0, "num_workers": 1}
    config = tmp_path / "killed.yaml"
    config.write_text(yaml.safe_dump(settings(**changes)))
    output = tmp_path / "killed"
    process = start(corpus, config, output)
    checkpoint = output / "checkpoint.pth"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was killed before it was done"
    # What the kill left can be read, and a half-written file beside it is cleared away.
    torch.load(checkpoint, weights_only=True)
    (output / ".checkpoint.pth.1.tmp").write_bytes(b"half")
    resumed = train("killed", **changes)
    assert resumed == output
    assert not list(output.glob(".*.tmp"))
    assert largest_difference(output / "latest.pth", train("whole", **changes) / "latest.pth") == 0


@pytest.mark.timeout(300)
def test_a_mistake_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump(settings(batch_binz=3)))
    output = finish(start(corpus, config, tmp_path / "wrong"), code=2)
    lines = output.strip().splitlines()
    assert len(lines) <= 2 and lines[-1].startswith("error: ") and "batch_binz" in lines[-1], output
    assert "nltk" not in output and "Flash" not in output


def worker_args(corpus: Corpus, output: Path, **changes: object) -> argparse.Namespace:
    """What ESPnet hands to `main_worker`."""
    args = XlsrASRTask.get_parser().parse_args([*corpus.options, "--output_dir", str(output)])
    vars(args).update(settings(**changes), distributed=False, version="test")
    return args


@pytest.mark.timeout(300)
def test_a_spawned_worker_knows_the_task(corpus: Corpus, tmp_path: Path) -> None:
    """ESPnet starts one process per GPU like this; the worker imports nothing but what the target names."""
    args = worker_args(corpus, tmp_path / "spawned", max_epoch=1)
    worker = multiprocessing.get_context("spawn").Process(target=XlsrASRTask.main_worker, args=(args,))
    worker.start()
    worker.join(280)
    assert worker.exitcode == 0
    assert (tmp_path / "spawned" / "1epoch.pth").exists()


def test_a_mistake_found_by_a_worker_is_one_line_too(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    monkeypatch.setattr(shared_task, "end_with_parent", lambda: None)
    with pytest.raises(SystemExit) as left:
        XlsrASRTask.main_worker(worker_args(corpus, tmp_path / "wrong", model_conf={"ctc_wait": 1}))
    assert left.value.code == 2
    assert "error: model_conf" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "told"), [(-signal.SIGKILL, True), (-signal.SIGTERM, False), (2, False)])
def test_a_killed_worker_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, told: bool
) -> None:
    """With one process for each GPU; whoever left by itself has said why."""

    def spawning(*_args: object, **_options: object) -> None:
        raise ProcessExitedException("process 3 terminated", 3, 4711, code)

    monkeypatch.setattr("espnet2.tasks.abs_task.AbsTask.main", spawning)
    with pytest.raises(SystemExit) as left:
        XlsrASRTask.main(argparse.Namespace())
    assert left.value.code == (code if code > 0 else 128 - code)
    said = "error: rank 3 was killed by signal SIGKILL, most likely for want of memory"
    assert capsys.readouterr().err.startswith(said) == told


def test_batches_smaller_than_the_ranks_are_told(corpus: Corpus, tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings(batch_type="sorted", batch_size=6, valid_batch_size=1)))
    given = ("--multiprocessing_distributed", "false", "--dist_world_size", "2", "--dist_backend", "gloo")
    store = f"file://{tmp_path / 'rendezvous'}"
    ranks = [
        start(corpus, config, tmp_path / "two", *given, "--dist_init_method", store, "--dist_rank", rank)
        for rank in "01"
    ]
    output = finish(*ranks, code=2)
    assert "a batch has fewer utterances than the training has processes" in output
    assert "Traceback" not in output


@pytest.mark.timeout(300)
def test_a_full_disk_costs_nothing_that_was_saved(corpus: Corpus, tmp_path: Path) -> None:
    """A limit on the size of files, below that of a checkpoint, stands for the disk."""
    config, exp = tmp_path / "train.yaml", tmp_path / "exp"
    once = {"encoder_conf": {"config": PLAIN, "train_context": {"chunk_ms": 320, "left_ms": 320}}}
    config.write_text(yaml.safe_dump(settings(**once, max_epoch=1)))
    finish(start(corpus, config, exp))
    saved = {path.name: path.read_bytes() for path in exp.glob("*.pth")}
    config.write_text(yaml.safe_dump(settings(**once, max_epoch=2)))
    most = len(saved["checkpoint.pth"]) // 2
    limited = (
        "from resource import *; from xlsrt.bin import run_main; from xlsrt.bin.asr_train import main;"
        f"setrlimit(RLIMIT_FSIZE, ({most}, RLIM_INFINITY)); run_main(main)"
    )
    output = finish(start(corpus, config, exp, how=("-c", limited)), code=2)
    assert "Traceback" not in output and ".pth: cannot be written (File too large): make room there" in output
    for name, content in saved.items():
        assert (exp / name).read_bytes() == content, name
    finish(start(corpus, config, exp))
    assert torch.load(exp / "checkpoint.pth", weights_only=True)["reporter"].keys() == {1, 2}
