"""The page's sections about contexts, latency, training and single errors, each from the material to HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlsrt.context import AttentionContext
from xlsrt.report import figures, patterns, streaming, training
from xlsrt.report.browser import browser_data
from xlsrt.report.decodings import Decoded
from xlsrt.report.elements import Cell, folded, key, named, note, picture, side_by_side, table
from xlsrt.report.latency import HEADER, known_latency
from xlsrt.report.material import Material
from xlsrt.report.names import context_name, search_names
from xlsrt.report.score_sections import NOTHING
from xlsrt.report.steps import step_table
from xlsrt.units import FRAME_SECONDS

PICTURE_FRAMES = 160
STREAM_SECONDS, PACKET_MS = 4.0, 80
CURVES = (
    ("valid", "ter", "Validation: token error rate (greedy)", False),
    ("valid", "loss", "Validation: loss", True),
    ("train", "loss", "Training: loss", True),
    ("train", "optim0_lr0", "Learning rate of the head", False),
    ("train", "optim0_lr_encoder", "Learning rate of the encoder", False),
    ("train", "grad_norm", "Gradient norm before clipping", True),
    ("train", "audio_per_hour", "Hours of audio per hour", False),
    ("train", "step_time", "Seconds for an update", False),
    ("train", "gpu_max_cached_mem_GB", "GPU memory (GB)", False),
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
ALIGNED = "When words were said is known from forced alignment with {}: errors of tens of ms are usual."
BROWSER_NOTE = note(
    "Above what was said, below what was recognised. Over the sound: when words were said (where that is "
    "known), when they were recognised and, at the dot, when a stream could no more change them; vertical "
    "lines are chunks. Point or play to see what the encoder sees from there: sinks, left context, own "
    "chunk. A click on a word plays it."
)


def latency(material: Material) -> str:
    parts = []
    for dataset, decoded in material.by_dataset():
        points: dict[str, list[tuple[float, float, str]]] = {}
        cells, offline = named(decoded), _offline(decoded)
        streams = [(d, d.context) for d in decoded if d.context is not None and not d.context.is_full]
        series = _series(decoded, [d for d, _ in streams])
        for d, context in streams:
            left = context_name(context).partition(", ")[2]
            points.setdefault(series[d.path], []).append(
                (context.algorithmic_latency_ms, d.counts.error_rate, left)
            )
        drawn = []
        if points:
            drawn.append(
                figures.svg(figures.latency_figure(points, offline, f"{dataset}: error rate and latency"))
            )
        factors = {
            " ".join(cell.text for cell in cells[d.path]): d.facts["real_time_factor"]
            for d in decoded
            if "real_time_factor" in d.facts
        }
        if points and factors:
            title = f"{dataset}: real-time factor"
            drawn.append(
                figures.svg(figures.bar_figure(factors, title, "seconds of computing for a second of audio"))
            )
        waits = _delays(decoded)
        if waits:
            title = f"{dataset}: error rate and delay of words"
            xlabel = "median from a word's end until it stands (ms)"
            drawn.append(figures.svg(figures.latency_figure(waits[0], {}, title, xlabel)))
        parts.append((side_by_side(drawn) if drawn else "") + (waits[1] if waits else ""))
    if not any(parts):
        return "<p>No streaming context has been decoded yet.</p>"
    said = note(
        "Algorithmic latency in the figure: the chunk and 5 ms of the last window, nothing else; of full "
        "attention, the best decoding of each model. In the table of delays a moment of the audio also waits "
        "for the packet that completes its chunk. The real-time factor is that of decoding in batches, on "
        "the machine that decoded."
    )
    return "".join(parts) + said + step_table(material)


def _series(decoded: Sequence[Decoded], drawn: Sequence[Decoded]) -> dict[Path, str]:
    """Model and search of each that is drawn: what must be the same along a line of a figure."""
    cells, searches = named(decoded), search_names(drawn)
    return {d.path: f"{cells[d.path][0].text} {searches[d.path]}".rstrip() for d in drawn}


def _offline(decoded: Sequence[Decoded]) -> dict[str, float]:
    """The best error rate of each model in full attention, by model and decoding."""
    cells = named(decoded)
    best: dict[str, Decoded] = {}
    for d in decoded:
        if d.context is not None and d.context.is_full:
            best[d.model] = min(best.get(d.model, d), d, key=lambda one: one.counts.error_rate)
    rates = {}
    for d in best.values():
        name = " ".join(cell.text for cell in cells[d.path])
        rates[name if "offline" in name else f"{name}, offline"] = d.counts.error_rate
    return rates


def _delays(decoded: Sequence[Decoded]) -> tuple[dict[str, list[tuple[float, float, str]]], str] | None:
    """What `xlsrt.report.latency` has measured: points for the figure, and the table."""
    known = [(d, found, found.emission.p50) for d in decoded if (found := known_latency(d.path)) is not None]
    cells, series = named(decoded), _series(decoded, [d for d, _, median in known if median is not None])
    points: dict[str, list[tuple[float, float, str]]] = {}
    rows: list[list[str | Cell]] = []
    for d, found, median in known:
        if median is None:
            continue
        label = context_name(d.context)
        points.setdefault(series[d.path], []).append((median, d.counts.error_rate, label))
        rows.append([*cells[d.path], f"{found.packet_ms:g}", *found.row()])
    if not rows:
        return None
    # What chunks alone cost stands in the figure; here the packets that bring them count too.
    header = ("model", "decoding", "packets (ms)", "chunk and packet mean", *HEADER[2:])
    models = dict.fromkeys(found.aligned_by for _, found, median in known if median is not None)
    said = "".join(note(html.escape(ALIGNED.format(model))) for model in models if model)
    return points, folded("Delays of words (ms of audio)", table(header, rows, 2)) + said


def contexts(material: Material) -> str:
    named_contexts = patterns.stage_contexts()
    frames = PICTURE_FRAMES
    cells = []
    for n in named_contexts:
        source = figures.png_uri(patterns.picture(n.context, frames))
        share = f"{100 * patterns.density(n.context, frames):.0f} % connected"
        cells.append(picture(source, f"{html.escape(n.name)}<br>{share}", str(n.context)))
    pictures = "".join(cells)
    return (
        f'<div class="contexts">{pictures}</div><p class="key soft">{key(patterns.NAMES)}. '
        f"One pixel for one pair of frames, {frames * FRAME_SECONDS:.1f} s; rows see columns, "
        "time runs down and to the right.</p>\n"
        + side_by_side(
            (
                figures.svg(figures.density_figure(named_contexts)),
                figures.svg(figures.memory_figure(named_contexts, figures.BYTES_300M, figures.MODEL_300M)),
            )
        )
        + _stream(named_contexts[-1].context)
    )


def _stream(context: AttentionContext) -> str:
    """A stream in this context as a moving picture, and as one that stands still."""
    moving = streaming.animation(context, STREAM_SECONDS, PACKET_MS, figures.BYTES_300M)
    said = f"A stream in packets of {PACKET_MS} ms: {context}; MB of the cache: {figures.MODEL_300M}"
    # The letters in the picture are small on a phone, and no one can select them.
    caption = f'{html.escape(said)}<br><span class="key">{key(streaming.NAMES)}</span>'
    parts = (
        picture(figures.data_uri("image/gif", moving), caption, said),
        f"<figure>{figures.svg(figures.stream_figure(context, STREAM_SECONDS, PACKET_MS))}</figure>",
    )
    return f'<div class="figures pictures">{"".join(parts)}</div>\n'


def training_curves(material: Material) -> str:
    if not material.experiments:
        return "<p>No TensorBoard files of training stages are there.</p>"
    parts = []
    for family in dict.fromkeys(e.family for e in material.experiments):
        experiments = [e for e in material.experiments if e.family == family]
        drawn = []
        for phase, tag, name, logarithmic in CURVES:
            found = training.curves(experiments, phase, tag)
            if found:
                figure = figures.curve_figure(found, name, training.borders(experiments), logarithmic)
                drawn.append(figures.svg(figure))
        parts.append(f"<h3>{html.escape(family)}</h3>\n{side_by_side(drawn)}")
    return "\n".join(parts)


def errors(material: Material) -> str:
    if not material.decoded:
        return NOTHING
    data = browser_data(material.decoded, material.audio_megabytes)
    chosen = material.decoded[data["chosen"]]
    rows: list[list[str | Cell]] = [
        [*(Cell(side or "(nothing)", spoken=bool(side)) for side in (ref, hyp)), str(times)]
        for ref, hyp, times in chosen.confusions()
    ]
    name = html.escape(f"{chosen.dataset}, {chosen.model}, {chosen.decoding}")
    aligned = [f"{dataset}: {ALIGNED.format(model)}" for dataset, model in data["aligned"].items()]
    notes = "".join(note(html.escape(said)) for said in (data.pop("audible"), *aligned))
    return (
        f"<h3>Utterances</h3>\n{BROWSER_NOTE}{notes}"
        f"{CONTROLS}{_json(data)}"
        f"<h3>Most frequent errors: {name}</h3>\n{table(('said', 'recognised', 'times'), rows, 2)}"
    )


def _json(data: Mapping[str, Any]) -> str:
    # "</" would end the element early, and after "<!-- <script" its end would not end it. "<" stands in
    # strings only, where JSON may write it as a number.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="errors">{text}</script>'
