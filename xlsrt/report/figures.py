"""Figures as files and as data URIs; matplotlib without a display."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xlsrt.context import AttentionContext
from xlsrt.report import patterns, streaming
from xlsrt.report.patterns import Named
from xlsrt.units import FRAME_SECONDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STAGE = re.compile(r"^(stage \d+)[a-z]$")

Curve = tuple[Sequence[float], Sequence[float]]
"""x and y values."""

PALETTE = ("#1f4e8c", "#e07a3c", "#2a9d8f", "#8e5ea2", "#c2a01f", "#6b7785", "#d1495b", "#4aa3df")
PANEL = (5.4, 3.3)
"""Inches of one panel: on a phone its letters can still be read."""

LEGEND_COLUMNS, LEGEND_ROW = 2, 0.19
"""Of a legend below the axes: columns, inches of a row."""

BYTES_300M, MODEL_300M = 24 * 2 * 1024 * 4, "XLS-R 300M, float32"
"""Keys and values of one frame in 24 layers of width 1024, and what has so many."""

LENGTHS = (1, 2, 4, 8, 15, 30, 60, 120)
"""Seconds of audio at which density and memory are shown."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; of the object interface, so that no global state or display is involved."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def dress(axes: Axes, title: str = "", **settings: Any) -> Axes:
    """The look that all axes have; ``settings`` as `Axes.set` takes them."""
    axes.set_prop_cycle(color=list(PALETTE))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("0.6")
    axes.tick_params(labelsize=9, color="0.6")
    axes.grid(True, alpha=0.25)
    axes.set_title(title, fontsize=11, loc="left", fontweight="bold")
    axes.set(**settings)
    return axes


def panel(title: str, **settings: Any) -> tuple[Figure, Axes]:
    """A figure with one dressed pair of axes."""
    figure = new_figure(*PANEL)
    return figure, dress(figure.add_subplot(1, 1, 1), title, **settings)


def png_uri(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URI, one pixel each."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return data_uri("image/png", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")


def svg(figure: Figure) -> str:
    """A figure as an ``<svg>`` element to stand in HTML, named by its titles. Same figure, same bytes."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "xlsrt", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])  # of no use
    # Markers and clips of two figures may be the same, and so their names; a page has each name once.
    own = f"f{hashlib.sha256(text.encode()).hexdigest()[:10]}-"
    text = re.sub(r'( id="|"#|url\(#)', rf"\g<1>{own}", text)
    titles = [title for axes in figure.axes for at in ("left", "center") if (title := axes.get_title(at))]
    label = html.escape(", ".join(titles) or "figure")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def save_pixels(pixels: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) uint8 as PNG, one pixel each."""
    from matplotlib.image import imsave

    imsave(path, pixels, format="png")


def pattern_figure(contexts: Sequence[Named], frames: int) -> Figure:
    """Visibility of each context side by side, seconds on both axes."""
    from matplotlib.patches import Patch

    figure = new_figure(3.2 * len(contexts), 3.9)
    seconds = frames * FRAME_SECONDS
    for number, named in enumerate(contexts):
        axes = figure.add_subplot(1, len(contexts), number + 1)
        axes.imshow(
            patterns.picture(named.context, frames),
            interpolation="nearest",
            extent=(0, seconds, seconds, 0),
        )
        axes.set_title(named.name, fontsize=9)
        axes.set_xlabel("seen frame (s)")
        if number == 0:
            axes.set_ylabel("seeing frame (s)")
    patches = [
        Patch(facecolor=(r / 255, g / 255, b / 255), edgecolor="0.6", label=name)
        for name, (r, g, b) in patterns.NAMES.items()
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=8)
    return figure


def stream_figure(context: AttentionContext, seconds: float, packet_ms: float) -> Figure:
    """A stream: a row for each packet, a column for each frame, coloured by what has become of it."""
    from matplotlib.patches import Patch

    pixels = streaming.picture(context, seconds, packet_ms)
    figure, axes = panel(f"A stream: {context}", xlabel="frame (s)", ylabel="audio received (s)")
    axes.set_title(f"A stream: {context}", fontsize=9.5, loc="left", fontweight="bold")
    axes.grid(False)
    extent = (0, FRAME_SECONDS * pixels.shape[1], 0.001 * packet_ms * len(pixels), 0)
    axes.imshow(pixels, interpolation="nearest", extent=extent, aspect="auto")
    patches = [
        Patch(color=(r / 255, g / 255, b / 255), label=name) for name, (r, g, b) in streaming.NAMES.items()
    ]
    axes.legend(handles=patches, fontsize=7.5, loc="upper right")
    return figure


def density_figure(contexts: Sequence[Named], seconds: Sequence[float] = LENGTHS) -> Figure:
    """Connection density against the length of the audio."""
    figure, axes = panel("Connected pairs of frames (%)")
    lengths = [round(s * 50) for s in seconds]
    _lines(
        axes, contexts, seconds, [[100 * patterns.density(n.context, m) for m in lengths] for n in contexts]
    )
    axes.legend(fontsize=8, loc="lower left")
    return figure


def memory_figure(
    contexts: Sequence[Named], bytes_per_frame: int, model: str, seconds: Sequence[float] = LENGTHS
) -> Figure:
    """Memory of the keys and values that are needed at once, against the length of the audio.

    Args:
        bytes_per_frame: of the keys and values of one frame in all layers. model: what has so many.
    """
    figure, axes = panel(f"Keys and values held at once (MB), {model}")
    size = bytes_per_frame / 1e6
    held = [[size * patterns.held_frames(n.context, round(50 * s)) for s in seconds] for n in contexts]
    _lines(axes, contexts, seconds, held)
    axes.legend(fontsize=8, loc="upper left", framealpha=0.6)
    return figure


def _lines(axes: Axes, contexts: Sequence[Named], x: Sequence[float], y: Sequence[Sequence[float]]) -> None:
    for number, (named, values) in enumerate(zip(contexts, y, strict=True)):
        # Lines that coincide stay visible as borders of one another.
        axes.plot(x, values, marker=".", linewidth=4.0 - 0.6 * min(number, 4), label=named.name)
    axes.set(xscale="log", yscale="log", xlabel="length of the audio (s)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")


def curve_figure(
    curves: Mapping[str, Curve], title: str, borders: Sequence[tuple[float, str]] = (), log: bool = False
) -> Figure:
    """Curves over updates; ``borders`` are (x, name) of stages that begin there."""
    figure, axes = panel(title, xlabel="updates, all stages")
    lines = [
        axes.plot(x, y, marker="." if len(x) < 40 else None, linewidth=1.4, label=name)[0]
        for name, (x, y) in curves.items()
    ]
    # A line for each stage: its name at the border says it all, and no legend is needed.
    alone = [_STAGE.sub(r"\1", name) for name in curves] == [name for _, name in borders]
    if log and all(value > 0 for _, y in curves.values() for value in y):
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
    for number, (begin, name) in enumerate(borders):
        axes.axvline(begin, color="0.75", linewidth=0.8, linestyle=":")
        if alone:
            name = str(lines[number].get_label())
        axes.annotate(
            f" {name.removeprefix('stage ')}",
            (begin, 1),
            xycoords=("data", "axes fraction"),
            fontsize=9,
            va="top",
            color=lines[number].get_color() if alone else "0.4",
        )
    if not alone:
        axes.legend(fontsize=8, framealpha=0.6)
    return figure


def latency_figure(
    points: Mapping[str, Sequence[tuple[float, float, str]]],
    offline: Mapping[str, float],
    title: str = "",
    xlabel: str = "algorithmic latency (ms)",
) -> Figure:
    """Error rate against latency.

    Args:
        points: for each series, (latency in ms, error rate in %, label).
        offline: error rates in full attention, whose latency has no place on the axis: drawn as lines.
    """
    rows = -(-(len(points) + len(offline)) // LEGEND_COLUMNS)
    figure = new_figure(PANEL[0], PANEL[1] + LEGEND_ROW * rows)
    axes = dress(figure.add_subplot(1, 1, 1), title, xlabel=xlabel, ylabel="word error rate (%)")
    for number, (name, values) in enumerate(points.items()):
        ordered = sorted(values)
        marker = "os^Dv"[number // len(PALETTE) % 5]  # the colours come round
        axes.plot([p[0] for p in ordered], [p[1] for p in ordered], marker=marker, label=name)
    for number, (name, rate) in enumerate(offline.items()):
        colour = PALETTE[(number + len(points)) % len(PALETTE)]
        axes.axhline(rate, linestyle="--", linewidth=1, color=colour, label=name)
    _label(axes, [p for values in points.values() for p in values])
    axes.margins(x=0.2, y=0.15)  # room for the labels
    # Below, as the labels of the points may be anywhere on the axes.
    figure.legend(fontsize=8, loc="outside lower left", ncols=LEGEND_COLUMNS)
    return figure


def _label(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Labels to the points, those of one latency above one another where their rates are close."""
    rates = [rate for _, rate, _ in points]
    near = 0.06 * (max(rates, default=0.0) - min(rates, default=0.0) or 1.0)
    placed: list[tuple[float, float]] = []
    for latency, rate, label in sorted(points):
        height = rate
        while any(abs(latency - x) < 250 and abs(height - y) < near for x, y in placed):
            height += near
        placed.append((latency, height))
        axes.annotate(
            label, (latency, height), fontsize=7.5, color="0.35", xytext=(5, 3), textcoords="offset points"
        )


def bar_figure(values: Mapping[str, float], title: str, xlabel: str) -> Figure:
    """One bar for each name, the first on top; the more bars, the higher."""
    names = list(values)
    figure = new_figure(PANEL[0], max(PANEL[1], 0.2 * len(names) + 0.9))
    axes = dress(figure.add_subplot(1, 1, 1), title, xlabel=xlabel)
    bars = axes.barh(range(len(names)), list(values.values()), color=PALETTE[0], height=0.65)
    axes.bar_label(bars, fmt="{:.3g}", fontsize=8, padding=3)
    axes.set_yticks(range(len(names)), labels=names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.margins(x=0.12)
    return figure
