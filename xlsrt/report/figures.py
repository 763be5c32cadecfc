"""Figures as files and as data URIs; matplotlib without a display."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xlsrt.report import patterns
from xlsrt.report.patterns import Named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[Sequence[float], Sequence[float]]
"""x and y values."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; of the object interface, so that no global state or display is involved."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def png_uri(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URI, one pixel each."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def svg(figure: Figure) -> str:
    """A figure as an ``<svg>`` element to stand in HTML. Same figure, same bytes."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "xlsrt", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def pattern_figure(contexts: Sequence[Named], frames: int) -> Figure:
    """Visibility of each context side by side, seconds on both axes."""
    figure = new_figure(3.2 * len(contexts), 3.6)
    seconds = frames * 0.02
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
    return figure


def density_figure(
    contexts: Sequence[Named], seconds: Sequence[float] = (1, 2, 4, 8, 15, 30, 60, 120)
) -> Figure:
    """Connection density and the frames a stream must hold, against the length of the audio."""
    figure = new_figure(9, 3.6)
    lengths = [round(s * 50) for s in seconds]
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for number, named in enumerate(contexts):
        # Lines that coincide stay visible as borders of one another.
        style: dict[str, Any] = {"marker": ".", "linewidth": 4.0 - 0.6 * min(number, 4), "label": named.name}
        left.plot(seconds, [100 * patterns.density(named.context, n) for n in lengths], **style)
        right.plot(seconds, [patterns.held_frames(named.context, n) for n in lengths], **style)
    for axes, title in ((left, "connected pairs (%)"), (right, "frames seen at once, at most")):
        axes.set(xscale="log", yscale="log", xlabel="length of the audio (s)", title=title)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(True, alpha=0.3)
    left.legend(fontsize=7)
    return figure


def curve_figure(
    curves: Mapping[str, Curve], title: str, borders: Sequence[tuple[float, str]] = (), log: bool = False
) -> Figure:
    """Curves over updates; ``borders`` are (x, name) of stages that begin there."""
    figure = new_figure(8, 3)
    axes = figure.add_subplot(1, 1, 1)
    for name, (x, y) in curves.items():
        axes.plot(x, y, marker="." if len(x) < 40 else None, linewidth=1.2, label=name)
    if log and all(value > 0 for _, y in curves.values() for value in y):
        axes.set_yscale("log")
    for begin, name in borders:
        axes.axvline(begin, color="0.7", linewidth=0.8)
        axes.annotate(f" {name}", (begin, 1), xycoords=("data", "axes fraction"), fontsize=8, va="top")
    axes.set(title=title, xlabel="updates, all stages")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def latency_figure(
    points: Mapping[str, Sequence[tuple[float, float, str]]], offline: Mapping[str, float]
) -> Figure:
    """Error rate against algorithmic latency.

    Args:
        points: for each model, (latency in ms, error rate in %, label).
        offline: error rates in full attention, whose latency has no place on the axis: drawn as lines.
    """
    figure = new_figure(8, 3.6)
    axes = figure.add_subplot(1, 1, 1)
    for name, values in points.items():
        ordered = sorted(values)
        axes.plot([p[0] for p in ordered], [p[1] for p in ordered], marker="o", label=name)
        for latency, rate, label in ordered:
            axes.annotate(label, (latency, rate), fontsize=7, xytext=(3, 3), textcoords="offset points")
    for number, (name, rate) in enumerate(offline.items()):
        axes.axhline(
            rate, linestyle="--", linewidth=0.9, color=f"C{number + len(points)}", label=f"{name}, offline"
        )
    axes.set(xlabel="algorithmic latency (ms)", ylabel="word error rate (%)")
    axes.margins(x=0.18)  # room for the labels
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=8)
    return figure
