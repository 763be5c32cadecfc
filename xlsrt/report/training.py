"""Training curves from the TensorBoard files of experiments, all stages on one axis."""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Points = list[tuple[float, float]]

MEAN_SECONDS = 60.0
"""Within so many seconds of its ``iter_epoch`` a training writes all means of an epoch."""

_VARIANT = re.compile(r"(?P<family>.+)_stage(?P<variant>(?P<stage>\d)[a-z]?)")


class Event(Protocol):
    """TensorBoard's: the value at an update, and when it was written, in seconds."""

    step: int
    value: float
    wall_time: float


@dataclass(frozen=True)
class Experiment:
    """The training of one variant.

    Attributes:
        path: its directory. family: name without the stage. variant: "2b". stage: 2.
        scalars: (phase, tag) to (update, value) points, in order.
    """

    path: Path
    family: str
    variant: str
    stage: int
    scalars: dict[tuple[str, str], Points]

    @property
    def updates(self) -> float:
        """Number of the last update that was logged."""
        return max((points[-1][0] for points in self.scalars.values()), default=0.0)


def find_experiments(expdir: Path) -> list[Experiment]:
    """Experiments of the five stages below ``expdir`` that have curves, sorted by family and variant."""
    found = []
    for path in sorted(expdir.iterdir()) if expdir.is_dir() else []:
        match = _VARIANT.fullmatch(path.name)
        scalars = read_scalars(path) if match and path.is_dir() else {}
        if points := throughput(scalars):
            scalars["train", "audio_per_hour"] = points
        if match and scalars:
            found.append(Experiment(path, match["family"], match["variant"], int(match["stage"]), scalars))
    return sorted(found, key=lambda e: (e.family, e.variant))


def read_scalars(exp_dir: Path) -> dict[tuple[str, str], Points]:
    """All scalars below ``exp_dir/tensorboard/{train,valid}``; of values for one update the last counts.

    A resumed run repeats updates, and its values replace those of the run before. Means of epochs, which
    older trainings wrote among the values of single intervals, are left out: see `without_means`.
    """
    scalars: dict[tuple[str, str], Points] = {}
    for phase in ("train", "valid"):
        directory = exp_dir / "tensorboard" / phase
        if not directory.is_dir():
            continue
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        # 0: keep every point.
        events = EventAccumulator(str(directory), size_guidance={"scalars": 0})
        events.Reload()
        tags = events.Tags()["scalars"]
        ends = events.Scalars("iter_epoch") if "iter_epoch" in tags else []
        for tag in tags:
            told = events.Scalars(tag)
            if tag != "iter_epoch":
                told = without_means(told, ends)
            values = {float(event.step): float(event.value) for event in told}
            scalars[phase, tag] = sorted(values.items())
    return scalars


def without_means(told: Iterable[Event], ends: Iterable[Event]) -> list[Event]:
    """The events of a tag without the means of those epochs that have values of intervals too.

    Args:
        told: in the order of writing. ends: events of ``iter_epoch``, which begins what is written at an
            epoch's end. Their times tell a mean from the value of an interval that ends with its epoch.
    """
    times: dict[int, list[float]] = defaultdict(list)
    for end in ends:
        times[end.step].append(end.wall_time)
    last = sorted(times)

    def is_mean(event: Event) -> bool:
        return any(0 <= event.wall_time - begun < MEAN_SECONDS for begun in times.get(event.step, ()))

    kept: list[Event] = []
    means: list[Event] = []
    for event in told:
        (means if is_mean(event) else kept).append(event)
    steps = sorted(event.step for event in kept)
    for mean in means:
        place = bisect_left(last, mean.step)
        before = last[place - 1] if place else -1
        if bisect_right(steps, before) == bisect_right(steps, mean.step):
            kept.append(mean)
    return kept


def throughput(scalars: Mapping[tuple[str, str], Points]) -> Points:
    """Hours of audio for an hour of training, validation left out, from what every batch took and held."""
    taken = [dict(scalars.get(("train", tag), [])) for tag in ("iter_time", "step_time")]
    held = scalars.get(("train", "audio_seconds"), [])
    points = ((update, audio, sum(times.get(update, 0.0) for times in taken)) for update, audio in held)
    return [(update, audio / seconds) for update, audio, seconds in points if seconds > 0]


def offsets(experiments: Sequence[Experiment]) -> dict[int, float]:
    """Where each stage begins on the common axis: after the longest variant of every stage before it."""
    starts: dict[int, float] = {}
    position = 0.0
    for stage in sorted({e.stage for e in experiments}):
        starts[stage] = position
        position += max(e.updates for e in experiments if e.stage == stage)
    return starts


def curves(
    experiments: Sequence[Experiment], phase: str, tag: str, longest: int = 2000
) -> dict[str, tuple[list[float], list[float]]]:
    """For each variant with this scalar, x (updates since stage 1) and y; at most ``longest`` points each."""
    starts = offsets(experiments)
    result = {}
    for experiment in experiments:
        points = experiment.scalars.get((phase, tag), [])
        points = points[:: max(1, len(points) // longest)]
        if points:
            x = [starts[experiment.stage] + update for update, _ in points]
            result[f"stage {experiment.variant}"] = (x, [value for _, value in points])
    return result


def borders(experiments: Sequence[Experiment]) -> list[tuple[float, str]]:
    """Where stages begin, for the figures."""
    return [(x, f"stage {stage}") for stage, x in offsets(experiments).items()]
