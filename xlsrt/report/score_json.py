"""score.json: what scoring keeps of one metric of one set, and all of them below an experiment folder."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.report.edits import Counts

log = logging.getLogger(__name__)

NAME = "score.json"
METRICS = ("wer", "cer", "ter")


@dataclass(frozen=True)
class Result:
    """One scored set: ``<expdir>/<model>/<decoding>/<dataset>/score_<metric>``."""

    model: str
    decoding: str
    dataset: str
    metric: str
    counts: Counts
    interval: tuple[float, float] | None = None
    """95 % interval of the error rate in percent."""


def read_score(path: Path) -> Result:
    """A scored set of one metric.

    Raises:
        UserError: the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        counts = {field.name: content[field.name] for field in fields(Counts)}
        if not all(isinstance(count, int) and count >= 0 for count in counts.values()):
            raise ValueError("a count is no whole number")
        interval = content.get("interval")
        if interval is not None:
            low, high = map(float, interval)
            interval = (low, high)
        model, decoding, dataset = path.absolute().parts[-5:-2]
        return Result(model, decoding, dataset, str(content["metric"]), Counts(**counts), interval)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path} is damaged ({reason}): remove it and score the set again (run.sh stage 11)"
        ) from None


def find_results(model_dir: Path) -> list[Result]:
    """All complete scores of one experiment, sorted by dataset, then decoding; damaged ones are named in the
    log and left out.
    """
    results = []
    for path in model_dir.glob(f"*/*/score_*/{NAME}"):
        try:
            results.append(read_score(path))
        except UserError as error:
            log.warning("left out: %s", error)
    return sorted(results, key=lambda r: (r.dataset, r.decoding, r.metric))


def model_dirs(expdir: Path) -> list[Path]:
    """Experiments with at least one score."""
    return sorted({path.parents[3] for path in expdir.glob(f"*/*/*/score_*/{NAME}")})


def forget_scores(decoded: Path) -> None:
    """Take away the files that say a set is scored: its hypotheses are about to be scored anew."""
    for path in decoded.glob(f"score_*/{NAME}"):
        path.unlink(missing_ok=True)
