from __future__ import annotations

import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from xlsrt.report import training


def write(path: Path, values: dict[int, float]) -> None:
    with SummaryWriter(str(path / "tensorboard" / "valid")) as writer:
        for step, value in values.items():
            writer.add_scalar("ter", value, step)


def test_stages_stand_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path / "asr_x_stage1", {10: 0.5, 20: 0.25})
    write(tmp_path / "asr_x_stage2b", {10: 0.125})
    write(tmp_path / "asr_x_stage2a", {40: 0.5})
    write(tmp_path / "asr_x_stage5b", {5: 0.0625})
    (tmp_path / "asr_stats_bpe100").mkdir()
    (tmp_path / "asr_y_stage3b").mkdir()
    experiments = training.find_experiments(tmp_path)
    assert [(e.family, e.variant, e.stage) for e in experiments] == [
        ("asr_x", "1", 1), ("asr_x", "2a", 2), ("asr_x", "2b", 2), ("asr_x", "5b", 5),
    ]  # fmt: skip
    assert training.curves(experiments, "valid", "ter") == {
        "stage 1": ([10, 20], [0.5, 0.25]),
        "stage 2a": ([60], [0.5]),
        "stage 2b": ([30], [0.125]),
        "stage 5b": ([65], [0.0625]),
    }
    assert training.borders(experiments) == [(0, "stage 1"), (20, "stage 2"), (60, "stage 5")]
    assert training.curves(experiments, "train", "loss") == {}


def test_a_resumed_run_continues_its_curve(tmp_path: Path) -> None:
    write(tmp_path / "asr_x_stage1", {10: 0.5, 20: 0.25})
    write(tmp_path / "asr_x_stage1", {20: 0.125, 30: 0.0625})
    (experiment,) = training.find_experiments(tmp_path)
    assert experiment.scalars["valid", "ter"] == [(10, 0.5), (20, 0.125), (30, 0.0625)]
    assert experiment.updates == 30


def write_as_before(path: Path, epochs: list[list[float]], batches: int, first: int = 1) -> None:
    """As trainings wrote it: values of intervals of two batches, at the end of an epoch its mean too."""
    with SummaryWriter(str(path / "tensorboard" / "train")) as writer:
        for epoch, losses in enumerate(epochs, first):
            begin, end = (epoch - 1) * batches, epoch * batches
            for number, loss in enumerate(losses, 1):
                writer.add_scalar("loss", loss, begin + 2 * number)
            time.sleep(0.002)
            writer.add_scalar("iter_epoch", epoch, end)
            writer.add_scalar("loss", 100.0 + epoch, end)


def test_means_of_epochs_in_older_files_are_left_out(tmp_path: Path) -> None:
    write_as_before(tmp_path / "asr_x_stage1", [[4.0, 3.0], [2.0, 1.0]], 4)
    write_as_before(tmp_path / "asr_x_stage2b", [[4.0, 3.0], [2.0, 1.0]], 5)
    # An epoch too short for an interval has nothing but its mean.
    write_as_before(tmp_path / "asr_x_stage3b", [[4.0], [], [0.5]], 2)
    loss = ("train", "loss")
    first, second, third = (e.scalars for e in training.find_experiments(tmp_path))
    assert first[loss] == [(2, 4.0), (4, 3.0), (6, 2.0), (8, 1.0)]
    assert second[loss] == [(2, 4.0), (4, 3.0), (7, 2.0), (9, 1.0)]
    assert third[loss] == [(2, 4.0), (4, 102.0), (6, 0.5)]
    assert first["train", "iter_epoch"] == [(4, 1), (8, 2)]


def test_a_resumed_run_repeats_updates_without_means(tmp_path: Path) -> None:
    write_as_before(tmp_path / "asr_x_stage1", [[4.0, 3.0]], 4)
    with SummaryWriter(str(tmp_path / "asr_x_stage1" / "tensorboard" / "train")) as writer:
        writer.add_scalar("loss", 2.5, 6)  # then it was killed
    write_as_before(tmp_path / "asr_x_stage1", [[2.0, 1.0]], 4, first=2)
    (experiment,) = training.find_experiments(tmp_path)
    assert experiment.scalars["train", "loss"] == [(2, 4.0), (4, 3.0), (6, 2.0), (8, 1.0)]


def test_throughput_is_audio_by_time_to_load_and_to_learn() -> None:
    scalars = {
        ("train", "audio_seconds"): [(10.0, 60.0), (20.0, 90.0), (30.0, 9.0)],
        ("train", "iter_time"): [(10.0, 0.5), (20.0, 0.0)],
        ("train", "step_time"): [(10.0, 1.5), (20.0, 1.0)],
    }
    assert training.throughput(scalars) == [(10.0, 30.0), (20.0, 90.0)]
    assert training.throughput({}) == []
