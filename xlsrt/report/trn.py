"""NIST's forms, ``trn`` files and the report that sclite prints: tools and eyes are used to them."""

from __future__ import annotations

import statistics
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from xlsrt.report.edits import Alignment, Counts

MARKS = {"C": "", "S": "S", "D": "D", "I": "I"}


def trn_lines(
    alignments: Mapping[str, Alignment], speakers: Mapping[str, str], side: Literal["ref", "hyp"]
) -> str:
    """One ``<units> (<speaker>-<utterance>)`` line per utterance."""
    column = 1 if side == "ref" else 2
    lines = []
    for utterance, alignment in alignments.items():
        units = " ".join(str(pair[column]) for pair in alignment.pairs if pair[column] is not None)
        lines.append(f"{units}\t({speakers[utterance]}-{utterance})\n")
    return "".join(lines)


def result_text(
    alignments: Mapping[str, Alignment], speakers: Mapping[str, str], system: str = "hyp.trn"
) -> str:
    """The table by speaker, then every utterance with reference and hypothesis one under the other."""
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for utterance in alignments:
        by_speaker[speakers[utterance]].append(utterance)
    sums = {
        speaker: sum((alignments[u].counts for u in utterances), Counts())
        for speaker, utterances in sorted(by_speaker.items())
    }
    parts = [_table(sums, system), "\nDUMP OF SYSTEM ALIGNMENT STRUCTURE\n"]
    parts += [f"System name:   {system}\n", "Speakers:"]
    parts += [f"    {number}:  {speaker}" for number, speaker in enumerate(sums)]
    for number, speaker in enumerate(sums):
        parts.append(f"\nSpeaker sentences   {number}:  {speaker}   #utts: {len(by_speaker[speaker])}")
        parts += [_utterance(f"{speaker}-{u}", alignments[u]) for u in by_speaker[speaker]]
    return "\n".join(parts) + "\n"


def columns(counts: Counts) -> tuple[int, int, float, float, float, float, float, float]:
    """Snt, Wrd, Corr, Sub, Del, Ins, Err, S.Err of one row; all but the first two in percent."""
    percent = counts.percent
    return (
        counts.utterances,
        counts.ref,
        percent(counts.corr),
        percent(counts.sub),
        percent(counts.dele),
        percent(counts.ins),
        counts.error_rate,
        counts.sentence_error_rate,
    )


def _table(sums: Mapping[str, Counts], system: str) -> str:
    total = sum(sums.values(), Counts())
    width = max(7, *(_width(s) for s in sums)) + 2
    rows = [columns(counts) for counts in sums.values()]

    def row(name: str, values: tuple[float, ...], digits: int = 0) -> str:
        head = f"{values[0]:6.{digits}f} {values[1]:6.{digits}f}"
        return f"|{_pad(' ' + name, width)}|{head} |" + "".join(f"{v:6.1f} " for v in values[2:]) + "|"

    total_row = row("Sum/Avg", columns(total))
    inside = len(total_row) - 2
    rule = "|" + "-" * inside + "|"
    names = "".join(f"{name:>6} " for name in ("Corr", "Sub", "Del", "Ins", "Err", "S.Err"))
    lines = [
        "SYSTEM SUMMARY PERCENTAGES by SPEAKER".center(inside + 2).rstrip(),
        "," + "-" * inside + ".",
        "|" + system.center(inside) + "|",
        rule,
        f"|{_pad(' SPKR', width)}|{'# Snt':>6} {'# Wrd':>6} |{names}|",
        rule,
        *[row(speaker, columns(counts)) for speaker, counts in sums.items()],
        "|" + "=" * inside + "|",
        total_row,
        "|" + "=" * inside + "|",
        row("Mean", tuple(statistics.fmean(column) for column in zip(*rows, strict=True)), 1),
        row("S.D.", tuple(_deviation(column) for column in zip(*rows, strict=True)), 1),
        row("Median", tuple(statistics.median(column) for column in zip(*rows, strict=True)), 1),
        "`" + "-" * inside + "'",
    ]
    return "\n".join(lines)


def _deviation(column: tuple[float, ...]) -> float:
    return statistics.stdev(column) if len(column) > 1 and max(column) < float("inf") else 0.0


def _utterance(name: str, alignment: Alignment) -> str:
    """Reference and hypothesis in columns: ``***`` fills a gap, the third line marks errors."""
    counts = alignment.counts
    refs, hyps, marks = [], [], []
    for kind, ref, hyp in alignment.pairs:
        width = max(_width(ref or ""), _width(hyp or ""))
        refs.append(_pad(ref or "*" * width, width))
        hyps.append(_pad(hyp or "*" * width, width))
        marks.append(_pad(MARKS[kind], width))
    return (
        f"id: ({name})\n"
        f"Scores: (#C #S #D #I) {counts.corr} {counts.sub} {counts.dele} {counts.ins}\n"
        f"REF:  {' '.join(refs)}\nHYP:  {' '.join(hyps)}\nEval: {' '.join(marks).rstrip()}\n"
    )


def _width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
