"""The report as one HTML file that loads nothing."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.report import sections, training
from xlsrt.report.decodings import find_decoded
from xlsrt.report.environment import describe
from xlsrt.report.sections import Material

log = logging.getLogger(__name__)

PARTS: tuple[tuple[str, Callable[[Material], str]], ...] = (
    ("Error rates", sections.scores),
    ("Error rate and latency", sections.latency),
    ("Contexts", sections.contexts),
    ("Training", sections.training_curves),
    ("Errors", sections.errors),
)


def write_report(expdir: Path, output: Path, audio_megabytes: float = 12.0, title: str = "") -> None:
    """Write the report of everything below ``expdir``.

    A section that fails is said in its place and in the log, and the rest of the report is made.

    Args:
        output: the HTML file.
        audio_megabytes: at most so much recorded speech is put into the page, the worst utterances first.
        title: head of the page.
    """
    material = Material(expdir, find_decoded(expdir), training.find_experiments(expdir), audio_megabytes)
    if not material.decoded and not material.experiments:
        raise UserError(
            f"{expdir} has neither training curves nor scores; run stages 5 to 11 of run.sh first"
        )
    made = [f"<section><h2>{name}</h2>\n{_made(make, material)}</section>" for name, make in PARTS]
    here = Path(__file__).parent
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    heading = html.escape(title or f"Streaming speech recognition: {expdir.resolve().parent.name}")
    facts = "".join(f"<li>{html.escape(line[2:].replace('`', ''))}</li>" for line in describe())
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # An empty icon: a browser would ask for one otherwise.
        '<link rel="icon" href="data:,">',
        f"<title>{heading}</title>\n<style>\n{style}</style></head>",
        f"<body><h1>{heading}</h1>",
        *made,
        f'<section><h2>Made with</h2><ul class="soft">{facts}</ul></section>',
        f"<script>\n{script}</script></body></html>\n",
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.name + ".tmp")
    partial.write_text("\n".join(parts), encoding="utf-8")
    partial.replace(output)


def _made(make: Callable[[Material], str], material: Material) -> str:
    try:
        return make(material)
    except (UserError, OSError, KeyError, ValueError) as error:
        log.warning("a part of the report is left out: %s", error)
        return f"<p>This part could not be made: {html.escape(str(error))}</p>"
