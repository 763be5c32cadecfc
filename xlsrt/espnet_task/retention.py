"""Which epochs' models are kept, linked and averaged. Everything follows from the reporter's figures and can
be redone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.files import link_atomically
from xlsrt.recipe.average import average_files

Criterion = tuple[str, str, str]


def epoch_file(directory: Path, epoch: int) -> Path:
    """Where the model of an epoch lies."""
    return directory / f"{epoch}epoch.pth"


def rank_epochs(stats: Mapping[int, Any], criterion: Criterion) -> list[int]:
    """Epochs, best first. Equal figures (a plateau) are told apart by the validation loss, then the later
    one leads.

    Args:
        stats: epoch -> phase -> key -> value, as in ESPnet's reporter. criterion: phase, key, "min" or "max".
    """
    phase, key, mode = criterion
    if mode not in ("min", "max"):
        raise UserError(f"best_model_criterion {phase}.{key}: the mode is {mode!r}; it must be min or max")
    sign = 1.0 if mode == "min" else -1.0

    def order(epoch: int) -> tuple[float, float, int]:
        value, loss = stats[epoch][phase][key], stats[epoch].get("valid", {}).get("loss", math.inf)
        return (
            sign * value if math.isfinite(value) else math.inf,
            loss if math.isfinite(loss) else math.inf,
            -epoch,
        )

    return sorted((epoch for epoch in stats if key in stats[epoch].get(phase, {})), key=order)


def tidy(
    directory: Path, stats: Mapping[int, Any], criteria: Sequence[Criterion], keep_best: int, keep_last: int
) -> list[str]:
    """Set the links ``latest.pth`` and ``<phase>.<key>.best.pth`` and delete the models of no further use.

    Returns:
        The criteria whose best epoch is the newest one.
    """
    done = sorted(epoch for epoch in stats if epoch_file(directory, epoch).exists())
    if not done:
        return []
    keep = set(done[-max(1, keep_last) :])
    link_atomically(directory / "latest.pth", epoch_file(directory, done[-1]).name)
    improved = []
    for criterion in criteria:
        ranked = [epoch for epoch in rank_epochs(stats, criterion) if epoch in done]
        if not ranked:
            continue
        name = f"{criterion[0]}.{criterion[1]}"
        link_atomically(directory / f"{name}.best.pth", epoch_file(directory, ranked[0]).name)
        keep.update(ranked[: max(1, keep_best)])
        if ranked[0] == done[-1]:
            improved.append(name)
    for epoch in done:
        if epoch not in keep:
            epoch_file(directory, epoch).unlink(missing_ok=True)
    return improved


def write_averages(
    directory: Path, stats: Mapping[int, Any], criteria: Sequence[Criterion], keep_best: int, keep_last: int
) -> None:
    """Write ``<phase>.<key>.ave_<n>best.pth`` with its link ``<phase>.<key>.ave.pth``, and
    ``latest.ave_<n>.pth``.
    """
    done = sorted(epoch for epoch in stats if epoch_file(directory, epoch).exists())
    for criterion in criteria:
        best = [epoch for epoch in rank_epochs(stats, criterion) if epoch in done][: max(1, keep_best)]
        if best:
            name = f"{criterion[0]}.{criterion[1]}"
            target = directory / f"{name}.ave_{len(best)}best.pth"
            average_files([epoch_file(directory, epoch) for epoch in sorted(best)], target)
            link_atomically(directory / f"{name}.ave.pth", target.name)
            logging.info(f"{target.name} is the average of epochs {', '.join(map(str, sorted(best)))}")
    if keep_last > 1 and done:
        last = done[-keep_last:]
        average_files(
            [epoch_file(directory, epoch) for epoch in last], directory / f"latest.ave_{len(last)}.pth"
        )
