"""The report as one HTML file that loads nothing."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.report import measure, score_sections, sections, training
from xlsrt.report.decodings import find_decoded
from xlsrt.report.environment import describe
from xlsrt.report.material import Material

log = logging.getLogger(__name__)

PARTS: tuple[tuple[str, Callable[[Material], str]], ...] = (
    ("Error rates", score_sections.scores),
    ("Latency", sections.latency),
    ("Contexts", sections.contexts),
    ("Attention", measure.attention),
    ("Training", sections.training_curves),
    ("Errors", sections.errors),
)


def write_report(
    expdir: Path, output: Path, audio_megabytes: float = 12.0, title: str = "", attention: bool = True
) -> None:
    """Write the report of everything below ``expdir``.

    A section that fails is said in its place and in the log, and the rest of the report is made.

    Args:
        output: the HTML file.
        audio_megabytes: at most so much recorded speech is put into the page, the worst utterances first.
        title: head of the page. attention: measure attention on an utterance; this loads a model.
    """
    experiments = training.find_experiments(expdir)
    damaged: list[str] = []
    material = Material(expdir, find_decoded(expdir, damaged), experiments, audio_megabytes, attention)
    if not material.decoded and not material.experiments:
        raise UserError(
            f"{expdir} has neither training curves nor scores; run stages 5 to 11 of run.sh first"
        )
    made = []
    for name, make in PARTS:
        log.info("%s", name.lower())
        made.append(f'<section id="{_anchor(name)}"><h2>{name}</h2>\n{_made(make, material)}</section>')
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name, _ in PARTS)
    style, *scripts = (_beside(name) for name in ("page.css", "timeline.js", "page.js"))
    heading = html.escape(title or f"Streaming speech recognition: {expdir.resolve().parent.name}")
    facts = [html.escape(line[2:].replace("`", "")) for line in describe()]
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # An empty icon: a browser would ask for one otherwise.
        '<link rel="icon" href="data:,">',
        f"<title>{heading}</title>\n<style>\n{style}</style></head>",
        f"<body><header><h1>{heading}</h1><p>{_overview(material)}</p></header>",
        f"<nav>{links}</nav><main>",
        *(f"<p>This could not be read and is left out: {html.escape(said)}</p>" for said in damaged),
        _made(score_sections.cards, material),
        *made,
        f"<footer><p>Made with</p><ul>{items}</ul></footer></main>",
        *(f"<script>\n{script}</script>" for script in scripts),
        "</body></html>\n",
    ]
    write_text(output, "\n".join(parts))


def _overview(material: Material) -> str:
    """What the page is about, in one line."""
    models = {d.model for d in material.decoded} | {e.path.name for e in material.experiments}
    sets = {d.dataset for d in material.decoded}
    counts = ((models, "model"), (sets, "set"), (material.decoded, "decoding"))
    return ", ".join(f"{len(found)} {what}{'' if len(found) == 1 else 's'}" for found, what in counts)


def _anchor(name: str) -> str:
    return "part-" + name.lower().replace(" ", "-")


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _made(make: Callable[[Material], str], material: Material) -> str:
    try:
        return make(material)
    except (UserError, OSError, KeyError, ValueError) as error:
        log.warning("a part of the report is left out: %s", error)
        return f"<p>This part could not be made: {html.escape(str(error))}</p>"
