"""Pieces of the report's page: tables, figures side by side, parts to unfold."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.report.decodings import Decoded
from xlsrt.report.names import short_names


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        text: what stands in it. title: what is said of it under the pointer.
        part: length of the bar behind it, 0 to 1. heat: depth of its colour, 0 to 1.
        spoken: whether it is from a transcript, which may run from right to left.
    """

    text: str
    title: str = ""
    part: float | None = None
    heat: float | None = None
    spoken: bool = False

    def html(self, tag: str, figure: bool) -> str:
        names = [name for name, wanted in (("figure", figure), ("bar", self.part is not None)) if wanted]
        attributes = f' class="{" ".join(names)}"' if names else ""
        if self.title:
            attributes += f' title="{html.escape(self.title)}"'
        if self.part is not None:
            attributes += f' style="--part:{100 * self.part:.0f}%"'
        elif self.heat is not None:
            attributes += f' style="background:rgba(224,122,60,{0.75 * self.heat:.2f})"'
        if self.spoken:
            attributes += ' dir="auto"'
        text = html.escape(self.text)
        if not self.spoken:
            text = text.replace("_", "_<wbr>")  # where names may be broken on paper
        # A button can be reached and pressed from the keyboard.
        content = f'<button type="button">{text}</button>' if tag == "th" else text
        return f"<{tag}{attributes}>{content}</{tag}>"


def table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]], figures_from: int) -> str:
    """An HTML table whose columns from ``figures_from`` on are figures; a click on a heading sorts it."""

    def line(cells: Sequence[str | Cell], tag: str) -> str:
        made = (c if isinstance(c, Cell) else Cell(c) for c in cells)
        return f"<tr>{''.join(c.html(tag, i >= figures_from) for i, c in enumerate(made))}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table class="sortable"><thead>{line(header, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def side_by_side(figures: Iterable[str]) -> str:
    """Figures in as many columns as the window has room for."""
    return f'<div class="figures">{"".join(f"<figure>{figure}</figure>" for figure in figures)}</div>\n'


def folded(summary: str, content: str) -> str:
    """A part that a click on ``summary`` shows."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>\n"


def picture(uri: str, caption: str, alt: str) -> str:
    """An image, given as a data URI, and what it shows."""
    return f'<figure><img alt="{html.escape(alt)}" src="{uri}"><figcaption>{caption}</figcaption></figure>'


def key(names: Mapping[str, tuple[int, int, int]]) -> str:
    """The meaning of colours, to stand in an element of class ``key``."""
    return "".join(
        f'<span style="background: rgb{colour}"></span>{html.escape(name)}' for name, colour in names.items()
    )


def note(text: str) -> str:
    return f'<p class="soft">{text}</p>\n'


def named(decoded: Sequence[Decoded]) -> Mapping[Path, tuple[Cell, Cell]]:
    """For each decoded set the cells of model and decoding: short names, the whole ones under the pointer."""
    short = short_names(decoded)
    return {
        d.path: (Cell(short[d.path][0], d.model), Cell(short[d.path][1], f"{d.decoding}: {d.context or ''}"))
        for d in decoded
    }
