"""Attention measured on a sound file, and the page's section about it."""

from __future__ import annotations

import html
from pathlib import Path

from xlsrt.context import AttentionContext
from xlsrt.report import figures
from xlsrt.report.attention import MOST_SECONDS, Measured, measure, mosaic, received_figure, share_figure
from xlsrt.report.decodings import Decoded
from xlsrt.report.elements import note, picture, side_by_side
from xlsrt.report.material import Material
from xlsrt.units import FRAME_SECONDS, SAMPLE_RATE

GOOD_SECONDS = 12.0
"""Length of an utterance on which attention is best seen."""


def measure_file(
    model: Path, wav: Path, context: AttentionContext | None, first: int | None, model_file: str | None = None
) -> Measured:
    """`measure` with a model and a sound file.

    Args:
        model: experiment directory or packed model. model_file: checkpoint in it; None: as the recogniser
            chooses. context: None is the model's own.
    """
    from xlsrt.data.audio import read_audio
    from xlsrt.recognizer import Recognizer

    samples = read_audio(wav)
    recognizer = Recognizer.from_exp(model, context, model_file=model_file)
    return _measured(recognizer.encoder, samples, recognizer.context, first)


def _measured(encoder: object, samples: object, context: AttentionContext, first: int | None) -> Measured:
    import torch

    wav = torch.as_tensor(samples).to(next(encoder.parameters()).dtype)  # type: ignore[attr-defined]
    return measure(encoder, wav, context, first)  # type: ignore[arg-type]


def attention(material: Material) -> str:
    """The last model that was decoded with sinks, on an utterance of its first set."""
    with_sinks = [d for d in material.decoded if d.context is not None and d.context.sink_frames]
    if not material.attention:
        return "<p>Not measured (--attention false).</p>"
    if not with_sinks:
        return "<p>No model has been decoded with attention sinks yet.</p>"
    chosen = max(with_sinks, key=lambda d: (d.model, d.context.sink_frames if d.context else 0))
    utterance, measured = _measure_decoded(chosen)
    facts = (
        f"{html.escape(chosen.model)} on {html.escape(utterance)} ({FRAME_SECONDS * measured.frames:.1f} s), "
        f"{html.escape(str(measured.context))}"
    )
    share, ratio = 100 * measured.sinks.mean(), measured.sinks.mean() / max(measured.even, 1e-9)
    heads = picture(
        figures.png_uri(mosaic(measured)),
        "Every head's weights, layers downwards, heads to the right: a row looks at columns. Dark is much.",
        "attention of every layer and head",
    )
    return (
        f"<p>{facts}: the first {measured.first} frames get {share:.1f} % of the weight of the frames that "
        f"see them as sinks, {ratio:.1f} times what even attention would give them.</p>\n"
        + side_by_side((figures.svg(share_figure(measured)), figures.svg(received_figure(measured))))
        + f'<div class="pictures sharp">{heads}</div>\n'
        + note(f"Means over {measured.queries} frames for which the sinks lie beyond the left context.")
    )


def _measure_decoded(decoded: Decoded) -> tuple[str, Measured]:
    """The utterance of the set nearest to `GOOD_SECONDS`, and what is seen on it or on its beginning."""
    from xlsrt.data.waveforms import DataDir, load_samples, read_set
    from xlsrt.recognizer import Recognizer

    data = DataDir(decoded.need_data_dir())
    entry = min(read_set(data.path), key=lambda e: abs(e.num_samples / SAMPLE_RATE - GOOD_SECONDS))
    model_dir = decoded.path.parents[1]
    context = decoded.context
    recognizer = Recognizer.from_exp(model_dir, context, model_file=decoded.facts.get("model_file"))
    samples = load_samples(data, entry)[: SAMPLE_RATE * MOST_SECONDS]
    return entry.name, _measured(recognizer.encoder, samples, recognizer.context, None)
