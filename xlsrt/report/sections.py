"""The sections of the report's page, each from the material to HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.report import breakdown, figures, patterns, training
from xlsrt.report.browser import browser_data
from xlsrt.report.decodings import Decoded
from xlsrt.report.significance import bootstrap_interval, compare

PICTURE_FRAMES = 160
CURVES = (
    ("valid", "ter", "Validation: token error rate (greedy)", False),
    ("valid", "loss", "Validation: loss", True),
    ("train", "loss", "Training: loss", True),
    ("train", "optim0_lr0", "Learning rate", False),
    ("train", "grad_norm", "Gradient norm before clipping", True),
    ("train", "step_time", "Seconds for an update", False),
)


CONTROLS = """<div class="controls">
<select id="choice" aria-label="decoding"></select>
<select id="kind" aria-label="errors">
<option value="wrong">with errors</option><option value="S">with substitutions</option>
<option value="D">with deletions</option><option value="I">with insertions</option>
<option value="all">all</option>
</select>
<select id="order" aria-label="order">
<option value="worst">worst first</option><option value="given">in the order of the set</option>
</select>
<input id="words" type="search" placeholder="word or utterance" aria-label="search">
</div>
<p id="count" class="soft"></p><div id="list"></div>
"""
SCORE_NOTE = """<p class="soft">Interval: bootstrap over utterances. p: matched pairs test against the best of
the set. RTF: seconds of computing for a second of audio, in batches. Click a heading to sort.</p>
"""
SCORE_HEADER = (
    *("model", "decoding", "words", "WER %", "95 % interval"),
    *("sub", "del", "ins", "S.Err %", "p", "RTF"),
)


@dataclass(frozen=True)
class Material:
    """What a report is made of."""

    expdir: Path
    decoded: Sequence[Decoded]
    experiments: Sequence[training.Experiment]
    audio_megabytes: float


def table(header: Sequence[str], rows: Sequence[Sequence[str]], figures_from: int) -> str:
    """An HTML table whose columns from ``figures_from`` on are figures."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (
            f"<{tag}{' class=figure' if index >= figures_from else ''}>{html.escape(cell)}</{tag}>"
            for index, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table class="sortable"><thead>{line(header, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def scores(material: Material) -> str:
    if not material.decoded:
        return "<p>Nothing has been decoded and scored yet.</p>"
    parts = []
    for dataset in dict.fromkeys(d.dataset for d in material.decoded):
        decoded = [d for d in material.decoded if d.dataset == dataset]
        best = min(decoded, key=lambda d: d.counts.error_rate)
        parts.append(f"<h3>{html.escape(dataset)}</h3>\n")
        parts.append(table(SCORE_HEADER, [_score_row(d, best) for d in decoded], 2))
        parts += _breakdowns(decoded)
    return "".join(parts) + SCORE_NOTE


def _breakdowns(decoded: Sequence[Decoded]) -> list[str]:
    """Error rates by language and by length, where the data directory is known and has several."""
    folder = next((d.facts["data_dir"] for d in decoded if "data_dir" in d.facts), None)
    if folder is None:
        return []
    try:
        kinds = breakdown.groups(Path(folder))
    except UserError as error:
        return [f"<p>No error rates by language and length: {html.escape(str(error))}</p>"]
    parts = []
    for kind, group_of in kinds.items():
        wanted = breakdown.names(group_of)
        if len(wanted) < 2:
            continue
        rows = []
        for d in decoded:
            counts = breakdown.rates(d, group_of, wanted)
            rows.append(
                [d.model, d.decoding, *(f"{c.error_rate:.1f}" if c.utterances else "" for c in counts)]
            )
        parts.append(f"<p>WER % by {kind}</p>{table(('model', 'decoding', *wanted), rows, 2)}")
    return parts


def _score_row(decoded: Decoded, best: Decoded) -> list[str]:
    counts = decoded.counts
    refs, errors = _per_utterance(decoded)
    low, high = bootstrap_interval(errors, refs)
    p = ""
    if decoded is not best and list(decoded.alignments) == list(best.alignments):
        p = f"{compare(errors, _per_utterance(best)[1], refs).p:.3f}"
    percents = [f"{counts.percent(n):.1f}" for n in (counts.sub, counts.dele, counts.ins)]
    factor = decoded.facts.get("real_time_factor")
    return [
        decoded.model,
        decoded.decoding,
        str(counts.ref),
        f"{counts.error_rate:.2f}",
        f"{low:.1f} to {high:.1f}",
        *percents,
        f"{counts.sentence_error_rate:.1f}",
        p,
        "" if factor is None else f"{factor:.3f}",
    ]


def _per_utterance(decoded: Decoded) -> tuple[list[int], list[int]]:
    counts = [alignment.counts for alignment in decoded.alignments.values()]
    return [c.ref for c in counts], [c.errors for c in counts]


def latency(material: Material) -> str:
    parts = []
    for dataset in dict.fromkeys(d.dataset for d in material.decoded):
        points: dict[str, list[tuple[float, float, str]]] = {}
        offline: dict[str, float] = {}
        for decoded in (d for d in material.decoded if d.dataset == dataset):
            context = decoded.context
            if context is None:
                continue
            rate = decoded.counts.error_rate
            if context.is_full:
                offline[decoded.model] = rate
            else:
                left = "all" if context.left_frames is None else f"{context.left_frames * 20} ms"
                label = f"left {left}" + (f", {context.sink_frames} sinks" if context.sink_frames else "")
                points.setdefault(decoded.model, []).append((context.algorithmic_latency_ms, rate, label))
        if points:
            figure = figures.latency_figure(points, offline)
            parts.append(f"<h3>{html.escape(dataset)}</h3>\n{figures.svg(figure)}")
    if not parts:
        return "<p>No streaming context has been decoded yet.</p>"
    return (
        "".join(parts) + '<p class="soft">Latency: the chunk and 5 ms of the last window, nothing else.</p>'
    )


def contexts(material: Material) -> str:
    named = patterns.stage_contexts()
    frames = PICTURE_FRAMES
    cells = []
    for n in named:
        source = figures.png_uri(patterns.picture(n.context, frames))
        share = f"{100 * patterns.density(n.context, frames):.0f} % connected"
        image = f'<img alt="{html.escape(str(n.context))}" src="{source}">'
        cells.append(f"<figure>{image}<figcaption>{html.escape(n.name)}<br>{share}</figcaption></figure>")
    colours = {"own chunk": patterns.CHUNK, "past": patterns.PAST, "sinks": patterns.SINK}
    pictures = "".join(cells)
    key = "".join(f'<span style="background: rgb{colour}"></span>{name}' for name, colour in colours.items())
    return (
        f'<div class="contexts">{pictures}</div><p class="key soft">{key}. One pixel for one pair of frames, '
        f"{frames * 0.02:.1f} s; rows see columns, time runs down and to the right.</p>\n"
        f"{figures.svg(figures.density_figure(named))}"
    )


def training_curves(material: Material) -> str:
    if not material.experiments:
        return "<p>No TensorBoard files of training stages are there.</p>"
    parts = []
    for family in dict.fromkeys(e.family for e in material.experiments):
        experiments = [e for e in material.experiments if e.family == family]
        parts.append(f"<h3>{html.escape(family)}</h3>\n")
        for phase, tag, name, logarithmic in CURVES:
            found = training.curves(experiments, phase, tag)
            if found:
                figure = figures.curve_figure(found, name, training.borders(experiments), logarithmic)
                parts.append(figures.svg(figure))
    return "\n".join(parts)


def errors(material: Material) -> str:
    if not material.decoded:
        return "<p>Nothing has been decoded and scored yet.</p>"
    data = browser_data(material.decoded, material.audio_megabytes)
    last = material.decoded[-1]
    rows = [[ref or "(nothing)", hyp or "(nothing)", str(times)] for ref, hyp, times in last.confusions()]
    name = html.escape(f"{last.dataset}, {last.model}, {last.decoding}")
    return (
        f"<h3>Most frequent: {name}</h3>\n{table(('said', 'recognised', 'times'), rows, 2)}"
        f"<h3>Utterances</h3>\n{CONTROLS}{_json(data)}"
    )


def _json(data: Mapping[str, Any]) -> str:
    # "</" would end the element early.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json" id="errors">{text}</script>'
