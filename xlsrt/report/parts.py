"""RESULTS.md's tables of the parts of a set: by language, by length, by speaker."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.report import breakdown
from xlsrt.report.decodings import Decoded, decoded_by
from xlsrt.report.score_json import METRICS

log = logging.getLogger(__name__)

MANY = 10
"""Of more groups than these (speakers of a corpus) a table lists the worst `WORST` alone."""
WORST = 5

Table = tuple[str, Sequence[str], list[tuple[str, ...]]]
"""Title, header and rows."""


def part_tables(model_dir: Path) -> list[Table]:
    """A table for each kind of parts that some set of an experiment has several of, with all its decodings.

    Sets whose data directory is not there have none.
    """
    rows: dict[str, list[tuple[str, ...]]] = {}
    shortened: set[str] = set()
    scored: set[str] = set()
    kinds: dict[Path | None, Mapping[str, Mapping[str, str]]] = {None: {}}
    for decoded in decoded_by(model_dir):
        folder = decoded.data_dir
        if folder not in kinds:
            kinds[folder] = _groups(folder) if folder is not None and folder.is_dir() else {}
        for kind, group_of in kinds[folder].items():
            wanted = breakdown.names(group_of)
            if len(wanted) > 1:
                rows.setdefault(kind, []).extend(_rows(decoded, group_of, wanted))
                scored |= decoded.figures.keys()
                shortened |= {kind} if len(wanted) > MANY else set()
    metrics = [metric.upper() for metric in METRICS if metric in scored]
    tables: list[Table] = []
    for kind, found in rows.items():
        which = f"; of more than {MANY} the worst {WORST}, all are in the report" if kind in shortened else ""
        title = f"By {kind} (error rates in %, 95 % intervals{which})"
        header = ("dataset", kind, "Snt", "Wrd", *metrics)
        # TER comes last, and is not scored without a token model.
        tables.append((title, header, [row[: len(header)] for row in found]))
    return tables


def _groups(folder: Path) -> Mapping[str, Mapping[str, str]]:
    try:
        return breakdown.groups(folder)
    except UserError as error:
        log.warning("no error rates by language, length and speaker: %s", error)
        return {}


def _rows(decoded: Decoded, group_of: Mapping[str, str], wanted: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each group, or for those with most errors."""
    metrics = {m: breakdown.split(decoded.figures.get(m, {}), group_of, wanted) for m in METRICS}
    places = [place for place, part in enumerate(metrics["wer"]) if part.refs]
    if len(wanted) > MANY:
        places = sorted(places, key=lambda place: -metrics["wer"][place].rate)[:WORST]
    name = f"{decoded.decoding}/{decoded.dataset}"
    for place in places:
        wer = metrics["wer"][place]
        texts = [metrics[m][place].text or "-" for m in METRICS]
        yield (name, wanted[place], str(len(wer.refs)), str(sum(wer.refs)), *texts)
