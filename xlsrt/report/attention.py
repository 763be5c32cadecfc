"""Is a sink a sink? Measured attention of a trained model on an utterance, per layer and head.

Shapes: L layers, H heads, T frames of 20 ms, P pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.report import figures
from xlsrt.units import FRAME_SECONDS

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from xlsrt.encoder import XlsrEncoder

FIRST = 16
"""How many first frames are looked at where the context has no sinks."""

MOST_SECONDS = 40
PIXELS = 64
"""Most pixels of a head's picture in either direction."""


@dataclass(frozen=True)
class Measured:
    """Where the attention of an utterance goes.

    Attributes:
        context: it was measured in. frames: of the utterance.
        first: number of first frames that are taken for sinks. queries: how many frames see them only as
            such, that is, beyond their left context; the shares are means over these.
        sinks, left, chunk: (L, H) shares of the weight, which sum up to 1.
        even: share that the sinks would get if a frame looked at all it sees alike.
        received: (L, T) mean weight that each frame gets from those that see it, over the heads.
        pictures: (L, H, P, P) weights, rows look at columns, averaged to at most `PIXELS`.
    """

    context: AttentionContext
    frames: int
    first: int
    queries: int
    sinks: np.ndarray
    left: np.ndarray
    chunk: np.ndarray
    even: float
    received: np.ndarray
    pictures: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """The shares, for JSON."""
        shares = {name: np.round(getattr(self, name), 5).tolist() for name in ("sinks", "left", "chunk")}
        facts = {"context": self.context.to_dict(), "frames": self.frames, "first": self.first}
        return {**facts, "queries": self.queries, "even": round(self.even, 5), **shares}

    def text(self) -> str:
        """A table for the terminal: a row for each layer, a column for each head, in percent."""
        share = 100 * self.sinks
        lines = [
            f"share of attention on the first {self.first} frames (%), in {self.context}",
            f"(mean over {self.queries} frames that see them as sinks; even attention would give them "
            f"{100 * self.even:.1f} %)",
            "layer  mean  " + " ".join(f"{f'h{head + 1}':>5}" for head in range(share.shape[1])),
        ]
        lines += [
            f"{layer + 1:5}  {row.mean():4.1f}  " + " ".join(f"{value:5.1f}" for value in row)
            for layer, row in enumerate(share)
        ]
        return "\n".join([*lines, f" mean  {share.mean():4.1f}"])


def measure(
    encoder: XlsrEncoder, wav: torch.Tensor, context: AttentionContext, first: int | None = None
) -> Measured:
    """Measure on one utterance, wav (S,) at 16 kHz.

    Args:
        first: first frames to take for sinks; None: the context's sinks, or `FIRST` where it has none.

    Raises:
        UserError: the utterance is too short for any frame to see a sink beyond its left context, or the
            context hides the first frames from all later ones.
    """
    from xlsrt.encoder.weights import attention_weights

    first = first or context.sink_frames or FIRST
    frames = int(encoder.config.num_frames(wav.shape[0]))
    if frames > 50 * MOST_SECONDS:
        raise UserError(
            f"attention of {FRAME_SECONDS * frames:.0f} s would need memory for every pair of frames: give "
            f"at most {MOST_SECONDS} s"
        )
    seen, kinds = _kinds(context, frames, first)
    queries = kinds["sinks"].any(1)
    if not queries.any():
        raise UserError(_why_none(context, frames, first))
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*kinds, "received", "pictures")}

    def see(weights: torch.Tensor) -> None:
        w = weights.float().cpu().numpy()
        for name, where in kinds.items():
            found[name].append((w * where)[:, queries].sum(-1).mean(-1))
        found["received"].append(w.sum((0, 1)) / (len(w) * np.maximum(1, seen.sum(0))))
        found["pictures"].append(np.stack([_shrunk(head) for head in w]))

    attention_weights(encoder, wav, context, see)
    stacked = {name: np.stack(values) for name, values in found.items()}
    even = float((kinds["sinks"].sum(1) / np.maximum(1, seen.sum(1)))[queries].mean())
    return Measured(context, frames, first, int(queries.sum()), even=even, **stacked)


def _kinds(context: AttentionContext, frames: int, first: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(T, T) bool: what is seen, and of this what is sink, own chunk and the rest, the left context."""
    q, k = np.arange(frames)[:, None], np.arange(frames)[None, :]
    seen = np.broadcast_to(context.visible(q, k), (frames, frames))
    size = context.chunk_frames or 1
    start = q // size * size
    # A first frame inside of the left context would be seen without being a sink, where that is bounded.
    sinks = seen & (k < first) & (k < start - (context.left_frames or 0))
    chunk = seen & ~sinks & ((k >= start) | context.is_full)
    return seen, {"sinks": sinks, "left": seen & ~sinks & ~chunk, "chunk": chunk}


def _why_none(context: AttentionContext, frames: int, first: int) -> str:
    if context.left_frames is not None and not context.sink_frames:
        return (
            f"in {context} no frame sees the first {first} frames beyond its left context: measure in a "
            "context with sinks, with all the past or in full attention"
        )
    need = FRAME_SECONDS * ((context.left_frames or 0) + 2 * (context.chunk_frames or 1))
    return (
        f"{FRAME_SECONDS * frames:.2f} s are too short to see sinks beyond the left context: give "
        f"{need:.2f} s or more"
    )


def _shrunk(weights: np.ndarray) -> np.ndarray:
    """(T, T) -> (P, P) means of blocks."""
    edges = np.linspace(0, len(weights), min(PIXELS, len(weights)) + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(weights, edges[:-1], 0), edges[:-1], 1)
    widths = np.diff(edges)
    return sums / (widths[:, None] * widths[None, :])


def mosaic(measured: Measured) -> np.ndarray:
    """(height, width, 3) uint8: the picture of every layer (downwards) and head; dark is much attention."""
    layers, count, size, _ = measured.pictures.shape
    # Each row against its own largest weight, and the root of it: few frames get most of the weight.
    scaled = np.sqrt(measured.pictures / np.maximum(measured.pictures.max(-1, keepdims=True), 1e-12))
    grid = np.ones((layers * (size + 2), count * (size + 2)))
    for layer in range(layers):
        for head in range(count):
            y, x = layer * (size + 2), head * (size + 2)
            grid[y : y + size, x : x + size] = 1 - scaled[layer, head]
    ink = np.array([18, 48, 90])
    return np.round(ink + grid[..., None] * (255 - ink)).astype(np.uint8)


def write_facts(measured: Measured, directory: Path) -> tuple[Path, Path]:
    """The shares as ``attention.json`` and every head's picture as ``heads.png``; where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    facts, heads = directory / "attention.json", directory / "heads.png"
    write_text(facts, json.dumps(measured.to_dict()) + "\n")
    figures.save_pixels(mosaic(measured), heads)
    return facts, heads


def share_figure(measured: Measured) -> Figure:
    """Share of weight on the sinks for each layer and head."""
    layers, heads = measured.sinks.shape
    title = f"Attention on the first {measured.first} frames (%); evenly spread: {100 * measured.even:.0f} %"
    figure = figures.new_figure(figures.PANEL[0], max(figures.PANEL[1], 0.22 * layers + 0.9))
    axes = figures.dress(figure.add_subplot(1, 1, 1), title, xlabel="head", ylabel="layer")
    axes.set_title(title, fontsize=9.5, loc="left", fontweight="bold")
    axes.grid(False)
    share = 100 * measured.sinks
    most = max(100 * measured.even, float(share.max()))
    image = axes.imshow(share, cmap="Oranges", vmin=0, vmax=most, aspect="auto")
    axes.set_xticks(range(heads), labels=[str(head + 1) for head in range(heads)])
    axes.set_yticks(range(layers), labels=[str(layer + 1) for layer in range(layers)])
    if layers * heads <= 150:
        for (layer, head), value in np.ndenumerate(share):
            ink = "white" if value > 0.6 * most else "black"
            axes.text(head, layer, f"{value:.0f}", ha="center", va="center", fontsize=8, color=ink)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def received_figure(measured: Measured) -> Figure:
    """Mean weight that each frame gets: a sink is a peak at the start."""
    figure, axes = figures.panel("Attention that a frame gets", xlabel="time of the frame (s)")
    time = FRAME_SECONDS * np.arange(measured.frames)
    layers = len(measured.received)
    for layer in sorted({0, layers // 2, layers - 1}):
        axes.plot(time, measured.received[layer], linewidth=1.1, label=f"layer {layer + 1}")
    axes.axvspan(0, FRAME_SECONDS * measured.first, color=figures.PALETTE[1], alpha=0.25, linewidth=0)
    axes.set_yscale("log")
    axes.legend(fontsize=8)
    return figure
