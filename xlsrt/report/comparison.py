"""Several models on one set against one of them: differences, paired intervals, tests; for ablations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.report.decodings import Decoded, find_decoded
from xlsrt.report.names import context_name, short_names
from xlsrt.report.results import plain_table
from xlsrt.report.significance import (
    Comparison,
    bootstrap_interval,
    compare,
    few_text,
    interval_text,
    p_text,
)

HEADER = ("model", "decoding", "context", "words", "WER", "95 % interval", "difference", "95 % interval", "p")


@dataclass(frozen=True)
class Row:
    """A decoding, the interval of its error rate, and its difference to the baseline (None: it is that)."""

    decoded: Decoded
    interval: tuple[float, float] | None
    versus: Comparison | None


def compare_decoded(decoded: Sequence[Decoded], baseline: Decoded) -> list[Row]:
    """Every decoding against ``baseline``, which comes first. Segments are utterances.

    Raises:
        UserError: the decodings are of different utterances or references.
    """
    refs, errors = baseline.per_utterance()
    rows = []
    for d in [baseline, *(d for d in decoded if d is not baseline)]:
        other_refs, other = d.per_utterance()
        if list(d.alignments) != list(baseline.alignments) or other_refs != refs:
            raise UserError(f"{d.path} and {baseline.path} were scored on other utterances or references")
        versus = None if d is baseline else compare(other, errors, refs)
        rows.append(Row(d, bootstrap_interval(other, refs), versus))
    return rows


def select(
    expdir: Path, dataset: str, variants: Sequence[str] = (), decodings: Sequence[str] = ()
) -> list[Decoded]:
    """The scored decodings of one set.

    Args:
        variants: training stages or names of models; empty: all. decodings: parts of their names; empty: all.

    Raises:
        UserError: none is left, or one that was asked for is not there; the message says what is.
    """
    there = [d for d in find_decoded(expdir) if d.dataset == dataset]
    if not there:
        sets = sorted({d.dataset for d in find_decoded(expdir)})
        raise UserError(f"{expdir} has no scores of {dataset}; scored sets: {', '.join(sets) or 'none'}")
    short = short_names(there)
    chosen = []
    for d in there:
        model = not variants or d.model in variants or short[d.path][0] in variants
        if model and (not decodings or any(part in d.decoding for part in decodings)):
            chosen.append(d)
    found = {d.model for d in chosen} | {short[d.path][0] for d in chosen}
    missing = [variant for variant in variants if variant not in found]
    if missing or not chosen:
        what = ", ".join(sorted({f"{short[d.path][0]} {short[d.path][1]}" for d in there}))
        raise UserError(
            f"nothing was scored on {dataset} for {', '.join(missing) or 'these'}; there are: {what}"
        )
    return chosen


def pick_baseline(decoded: Sequence[Decoded], name: str | None) -> Decoded:
    """The decoding that ``name`` means ("5d", or "5d streaming_640ms"); None: the first."""
    if name is None:
        return decoded[0]
    short = short_names(decoded)
    wanted = name.split()
    found = [d for d in decoded if list(short[d.path])[: len(wanted)] == wanted or d.model == name]
    if len(found) != 1:
        names = ", ".join(" ".join(short[d.path]) for d in decoded)
        what = "is several" if found else "is not among them"
        raise UserError(f"--baseline {name} {what}; choose one of: {names}")
    return found[0]


def table_rows(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Cells as in `HEADER`."""
    short = short_names([row.decoded for row in rows])
    table = []
    for row in rows:
        d, versus = row.decoded, row.versus
        cells = [*short[d.path], context_name(d.context), str(d.counts.ref), f"{d.counts.error_rate:.2f}"]
        cells.append(interval_text(row.interval, ".2f"))
        if versus is None:
            cells += ["baseline", "", ""]
        else:
            ends = interval_text(versus.interval, "+.2f")
            cells += [f"{versus.difference:+.2f}", ends, p_text(versus.p)]
        table.append(tuple(cells))
    return table


def comparison_table(rows: Sequence[Row], markdown: bool = False) -> str:
    """The table, for the terminal or in Markdown, and what to mind."""
    cells = table_rows(rows)
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in (HEADER, ["---"] * len(HEADER), *cells)]
        text = "\n".join(lines)
    else:
        text = plain_table(HEADER, cells)
    count = len(rows[0].decoded.alignments)
    note = (
        f"{count} utterances; differences are absolute, in % of the words; intervals: bootstrap over "
        "utterances, paired for differences; p: matched pairs"
    )
    if few := few_text(count):
        note += f"; {few}"
    return f"{text}\n\n{note}"
