"""The report on sets as a page of Markdown with a picture of lengths and rates of speech."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import IO

import numpy as np

from xlsrt.data.data_report import OUTLIER, RARE, SHOWN, SetFacts, common, gather
from xlsrt.files import atomic_open


def write_report(paths: list[Path], output: Path) -> str:
    """Write ``report.md`` and ``lengths.png`` into ``output``; returns the page.

    Raises:
        UserError: a set is incomplete, or the output cannot be written.
    """
    sets = [gather(path) for path in paths]
    lines = ["# Data", "", *_table(sets), "", "![lengths](lengths.png)", ""]
    for facts in sets:
        lines += _section(facts)
    if len(sets) > 1:
        shared = common(sets) or ["neither speakers nor audio nor sentences"]
        lines += ["## In common", "", *(f"* {line}" for line in shared), ""]
    page = "\n".join(lines)
    with atomic_open(output / "report.md") as stream:
        stream.write(page)
    with atomic_open(output / "lengths.png", "wb") as stream:
        _draw(sets, stream)
    return page


def _table(sets: list[SetFacts]) -> list[str]:
    lines = [
        "| set | utterances | hours | speakers | words | seconds: least, median, 95 %, most | characters/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for facts in sets:
        known = facts.known()
        spread = (
            ", ".join(f"{x:.2f}" for x in np.percentile(known, [0, 50, 95, 100])) if len(known) else "unknown"
        )
        rates = facts.rates()
        rate = f"{np.nanmedian(rates):.1f}" if len(known) and not np.isnan(rates).all() else "unknown"
        counts = f"{len(facts.utts)} | {facts.hours:.2f} | {len(facts.speakers)} | {facts.words}"
        lines.append(f"| {facts.path.name} | {counts} | {spread} | {rate} |")
    return lines


def _section(facts: SetFacts) -> list[str]:
    lines = [f"## {facts.path.name}", ""]
    speaker, count = facts.speakers.most_common(1)[0] if facts.speakers else ("", 0)
    if len(facts.speakers) > 1:
        lines.append(
            f"* The speaker with most utterances is {speaker}: {count}, {count / len(facts.utts):.0%}."
        )
    if facts.unknown_lengths:
        lines.append(
            f"* Lengths of {facts.unknown_lengths} utterances are unknown: their audio cannot be opened."
        )
    ordered = sorted(c for c in facts.characters if c != " ")
    lines.append(f"* {len(ordered)} characters: {' '.join(map(_shown, ordered))}")
    rare = [c for c in ordered if facts.characters[c] < RARE]
    if rare:
        told = ", ".join(f"{_shown(c)} {facts.characters[c]} ({facts.examples[c]})" for c in rare[:SHOWN])
        lines.append(f"* {len(rare)} of them fewer than {RARE} times, with an example: {told}")
    if facts.not_composed:
        lines.append(f"* Not in Unicode NFC: {', '.join(facts.not_composed)}")
    outliers = facts.rate_outliers()
    if outliers:
        lines += ["", f"{len(outliers)} utterances are much too fast or slow for their transcripts "]
        lines[-1] += f"(more than {OUTLIER:g} robust deviations):"
        lines += ["", "| utterance | characters/s | deviations |", "|---|---|---|"]
        lines += [f"| {utt} | {rate:.1f} | {score:+.1f} |" for utt, rate, score in outliers[:SHOWN]]
    if facts.pairs:
        lines += ["", f"{len(facts.pairs)} suspicious pairs:", ""]
        lines += [f"* {one}, {other}: {why}" for one, other, why in facts.pairs[:SHOWN]]
    return [*lines, ""]


def _shown(char: str) -> str:
    """Itself in code style, or its number where it cannot be seen."""
    if unicodedata.category(char)[0] in "CMZ" or char in "`|":
        return f"U+{ord(char):04X}"
    return f"`{char}`"


def _draw(sets: list[SetFacts], stream: IO[bytes]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for facts in sets:
        known, rates = facts.known(), facts.rates()
        for axes, values in ((left, known), (right, rates[~np.isnan(rates)])):
            if len(values):
                axes.hist(values, bins=60, histtype="step", label=facts.path.name)
    left.set(xlabel="seconds", ylabel="utterances", title="length", yscale="log")
    right.set(xlabel="characters a second", ylabel="utterances", title="rate of speech", yscale="log")
    left.legend()
    figure.savefig(stream, format="png", dpi=110)
