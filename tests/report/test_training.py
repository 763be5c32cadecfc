from __future__ import annotations

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


def test_throughput_is_audio_by_time_to_load_and_to_learn() -> None:
    scalars = {
        ("train", "audio_seconds"): [(10.0, 60.0), (20.0, 90.0), (30.0, 9.0)],
        ("train", "iter_time"): [(10.0, 0.5), (20.0, 0.0)],
        ("train", "step_time"): [(10.0, 1.5), (20.0, 1.0)],
    }
    assert training.throughput(scalars) == [(10.0, 30.0), (20.0, 90.0)]
    assert training.throughput({}) == []
