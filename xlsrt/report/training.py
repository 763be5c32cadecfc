"""Training curves from the TensorBoard files of experiments, all stages on one axis."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Points = list[tuple[float, float]]

_VARIANT = re.compile(r"(?P<family>.+)_stage(?P<variant>(?P<stage>\d)[a-z]?)")


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
    """All scalars below ``exp_dir/tensorboard/{train,valid}``; of values for one update the last counts."""
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
        for tag in events.Tags()["scalars"]:
            values = {float(event.step): float(event.value) for event in events.Scalars(tag)}
            scalars[phase, tag] = sorted(values.items())
    return scalars


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
