"""The page's sections about error rates: a card for each set, the tables, the parts of a set."""

from __future__ import annotations

import html
from collections.abc import Sequence

from xlsrt.errors import UserError
from xlsrt.report import breakdown
from xlsrt.report.breakdown import Part
from xlsrt.report.decodings import Decoded
from xlsrt.report.elements import Cell, folded, named, note, table
from xlsrt.report.material import Material
from xlsrt.report.names import context_name
from xlsrt.report.score_json import METRICS
from xlsrt.report.significance import bootstrap_interval, compare, few_text, interval_text, p_text

NOTHING = "<p>Nothing has been decoded and scored yet.</p>"
SCORE_NOTE = note(
    "Interval: bootstrap over utterances. p: matched pairs test against the best of the set, - where too few "
    "utterances do not tell it. RTF: seconds of computing for a second of audio, in batches. Click a heading "
    "to sort."
)
SCORE_HEADER = (
    *("model", "decoding", "WER %", "95 % interval"),
    *("sub", "del", "ins", "S.Err %", "words", "p", "RTF"),
)


def cards(material: Material) -> str:
    """The best of every set, as a stream (masked where there is none) and offline, to be seen first."""
    made = []
    for dataset, decoded in material.by_dataset():
        kinds: dict[str, list[Decoded]] = {"streaming": [], "masked": [], "offline": []}
        for d in decoded:
            if d.context is not None:
                # A mask over whole utterances is no stream, though it sees what one sees.
                limited = "masked" if d.facts.get("mode") == "masked" else "streaming"
                kinds["offline" if d.context.is_full else limited].append(d)
        if kinds["streaming"]:
            del kinds["masked"]  # steps on the way there
        lines = []
        for name, group in kinds.items():
            if group:
                best = min(group, key=lambda d: d.counts.error_rate)
                what = "full attention" if name == "offline" else context_name(best.context)
                rate = f"{best.counts.error_rate:.1f}<small> %</small>" if best.counts.ref else "-"
                lines.append(f'<p><b class="{name}">{rate}</b><span>{name}<br>{html.escape(what)}</span></p>')
        counts = decoded[0].counts
        size = f"{counts.utterances} utterances, {counts.ref} words"
        made.append(f"<article><h3>{html.escape(dataset)}</h3>{''.join(lines)}<p>{size}</p></article>")
    return f'<div class="cards">{"".join(made)}</div>\n' if made else ""


def scores(material: Material) -> str:
    parts = []
    for dataset, decoded in material.by_dataset():
        best = min(decoded, key=lambda d: d.counts.error_rate)
        most = max(d.counts.error_rate for d in decoded)
        cells = named(decoded)
        rows = [[*cells[d.path], *_figures(d, best, most)] for d in decoded]
        parts.append(f"<h3>{html.escape(dataset)}</h3>\n{table(SCORE_HEADER, rows, 2)}")
        if few := few_text(min(len(d.alignments) for d in decoded)):
            parts.append(note(html.escape(few)))
        parts += _breakdowns(decoded)
    return "".join(parts) + SCORE_NOTE if parts else NOTHING


def _figures(decoded: Decoded, best: Decoded, most: float) -> list[str | Cell]:
    counts = decoded.counts
    refs, errors = decoded.per_utterance()
    interval = interval_text(bootstrap_interval(errors, refs))
    p = ""
    if decoded is not best and list(decoded.alignments) == list(best.alignments):
        p = p_text(compare(errors, best.per_utterance()[1], refs).p)
    percents = [f"{counts.percent(n):.1f}" for n in (counts.sub, counts.dele, counts.ins)]
    factor = decoded.facts.get("real_time_factor")
    return [
        Cell(f"{counts.error_rate:.2f}", part=min(1.0, counts.error_rate / most) if most > 0 else 0.0),
        interval,
        *percents,
        f"{counts.sentence_error_rate:.1f}",
        str(counts.ref),
        p,
        "" if factor is None else f"{factor:.3f}",
    ]


def _breakdowns(decoded: Sequence[Decoded]) -> list[str]:
    """Error rates by language, length and speaker, where the data directory is known and has several."""
    folder = next((d.data_dir for d in decoded if d.data_dir is not None), None)
    if folder is None:
        return []
    try:
        kinds = breakdown.groups(folder)
    except UserError as error:
        return [note(f"No error rates by language, length and speaker: {html.escape(str(error))}")]
    parts = []
    for kind, group_of in kinds.items():
        wanted = breakdown.names(group_of)
        if len(wanted) < 2:
            continue
        for metric in METRICS:
            if scored := [d for d in decoded if metric in d.figures]:
                found = [breakdown.split(d.figures[metric], group_of, wanted) for d in scored]
                what = f"{metric.upper()} % by {kind}"
                parts.append(folded(what, _parts_table(kind, wanted, scored, found)))
    return parts


def _parts_table(
    kind: str, wanted: Sequence[str], decoded: Sequence[Decoded], found: Sequence[Sequence[Part]]
) -> str:
    """A row for each group, with its reference's units and its error rate in each decoding, the deeper the
    worse.
    """
    cells = named(decoded)
    header = (kind, "units", *(f"{cells[d.path][0].text} {cells[d.path][1].text}" for d in decoded))
    rates = [part.rate for column in found for part in column if part.refs and part.rate < float("inf")]
    most = max(rates, default=0.0) or 1.0
    rows: list[list[str | Cell]] = []
    for group, parts in zip(wanted, zip(*found, strict=True), strict=True):
        heats = [min(1.0, part.rate / most) if part.refs else None for part in parts]
        heated = [Cell(part.text, heat=heat) for part, heat in zip(parts, heats, strict=True)]
        rows.append([group, str(max(sum(part.refs) for part in parts)), *heated])
    return table(header, rows, 1)
