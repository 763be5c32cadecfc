"""Collapse is told by its figure, not before its time, and again after a resumption."""

from __future__ import annotations

import pytest

from xlsrt.errors import UserError
from xlsrt.pretrain.monitor import CollapseMonitor, MonitorConfig

GOOD = {"accuracy": 0.2, "baseline": 0.05, "code_use": 0.3, "feature_std": 0.4, "loss": 3.0}


def test_a_healthy_training_goes_on() -> None:
    monitor = CollapseMonitor(MonitorConfig(after_updates=10))
    for update in range(500):
        monitor.watch(GOOD, update)


@pytest.mark.parametrize(
    ("figure", "value", "reason"),
    [
        ("feature_std", 0.001, "hardly changes from frame to frame"),
        ("code_use", 0.002, "the same few codes"),
        ("accuracy", 0.05, "not predicted better than without listening"),
    ],
)
def test_each_kind_of_collapse_is_named(figure: str, value: float, reason: str) -> None:
    monitor = CollapseMonitor(MonitorConfig(after_updates=50))
    for update in range(50):
        monitor.watch(GOOD | {figure: value}, update)
    with pytest.raises(UserError, match=rf"collapsed: .*{reason}.*{figure} {value:.4g}.*update 50"):
        monitor.watch(GOOD | {figure: value}, 50)
    CollapseMonitor(MonitorConfig(after_updates=0)).watch(GOOD | {figure: value}, 10**6)


def test_a_figure_that_is_no_number_does_not_blind_it() -> None:
    monitor = CollapseMonitor(MonitorConfig(after_updates=10))
    monitor.watch(GOOD | {"accuracy": float("nan")}, 0)
    for update in range(1, 50):
        monitor.watch(GOOD | {"feature_std": float("nan") if update == 20 else 0.4}, update)
    with pytest.raises(UserError, match="hardly changes from frame to frame"):
        for update in range(50, 1000):
            monitor.watch(GOOD | {"feature_std": 0.0}, update)


def test_a_limit_that_no_training_meets_is_refused() -> None:
    with pytest.raises(UserError, match=r"min_code_use is 1\.0; code_use is at most 1"):
        MonitorConfig(min_code_use=1)


def test_one_bad_batch_is_no_collapse_and_the_memory_is_resumed() -> None:
    monitor = CollapseMonitor(MonitorConfig(after_updates=10))
    for update in range(100):
        monitor.watch(GOOD, update)
    monitor.watch(GOOD | {"feature_std": 0.0, "accuracy": 0.0}, 100)
    resumed = CollapseMonitor(monitor.config)
    resumed.load_state_dict(monitor.state_dict())
    with pytest.raises(UserError) as one:
        for update in range(101, 1000):
            monitor.watch(GOOD | {"feature_std": 0.0}, update)
    with pytest.raises(UserError) as other:
        for update in range(101, 1000):
            resumed.watch(GOOD | {"feature_std": 0.0}, update)
    assert str(one.value) == str(other.value)
