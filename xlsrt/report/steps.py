"""Computational latency: how long the steps of a live stream take, on the machine that makes the report."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xlsrt.errors import UserError
from xlsrt.report.decodings import Decoded
from xlsrt.report.elements import Cell, folded, named, note, table
from xlsrt.report.latency import percentile
from xlsrt.report.material import Material
from xlsrt.units import SAMPLE_RATE

if TYPE_CHECKING:
    from xlsrt.recognizer import Recognizer

log = logging.getLogger(__name__)

SECONDS = 12.0
"""Of audio that a stream is measured on."""
HEADER = ("chunk (ms)", "median (ms)", "90 % (ms)", "longest (ms)", "end to result (ms)", "real-time factor")


@dataclass(frozen=True)
class StepTimes:
    """What a stream cost.

    Attributes:
        steps: seconds that a packet took, for each packet that completes a chunk (or several).
        total: seconds of computing, all packets. audio: seconds heard. chunk_ms: length of a chunk.
        final: seconds from the end of the audio, once it is heard, to the final result.
    """

    steps: tuple[float, ...]
    total: float
    audio: float
    chunk_ms: int
    final: float

    def row(self) -> tuple[str, ...]:
        """Cells of `HEADER`."""
        ordered = sorted(self.steps)
        picked = (percentile(ordered, share) for share in (0.5, 0.9, 1.0))
        times = (f"{1000 * seconds:.1f}" for seconds in (*picked, self.final))
        return (str(self.chunk_ms), *times, f"{self.total / self.audio:.3f}")


def measure_steps(recognizer: Recognizer, samples: Any, packet_ms: float = 80.0) -> StepTimes:
    """Send samples (S,) at 16 kHz through a stream in packets.

    Raises:
        UserError: the context has no chunks, or the samples fill none.
    """
    chunk = recognizer.context.chunk_frames
    if recognizer.context.is_full or chunk is None:
        raise UserError("full attention has no steps: nothing comes out before the end")
    size = max(1, round(packet_ms * SAMPLE_RATE / 1000))
    recognizer.transcribe(samples[: 2 * SAMPLE_RATE])  # what is done once only
    stream, config = recognizer.stream(), recognizer.encoder.config
    steps: list[float] = []
    total, done = 0.0, 0
    for start in range(0, len(samples), size):
        packet = samples[start : start + size]
        before = time.perf_counter()
        stream.accept(packet)
        took = time.perf_counter() - before
        total += took
        complete = int(config.num_frames(start + len(packet))) // chunk
        if complete > done:
            steps.append(took)
            done = complete
    if not steps:
        raise UserError(f"{len(samples) / SAMPLE_RATE:.1f} s of audio have no whole chunk of {20 * chunk} ms")
    before = time.perf_counter()
    stream.finish()
    final = time.perf_counter() - before
    return StepTimes(tuple(steps), total, len(samples) / SAMPLE_RATE, 20 * chunk, final)


def step_table(material: Material) -> str:
    """The streaming decodings of each model's first set, one thread, one stream."""
    if not material.attention:
        return ""
    chosen: dict[tuple[str, str], Decoded] = {}
    for decoded in material.decoded:
        if decoded.facts.get("mode") == "streaming" and decoded.context and not decoded.context.is_full:
            chosen.setdefault((decoded.model, decoded.decoding), decoded)
    cells = named(list(chosen.values()))
    rows: list[list[str | Cell]] = []
    for decoded in chosen.values():
        try:
            rows.append([*cells[decoded.path], *_measured(decoded).row()])
        except (UserError, OSError, KeyError) as error:
            log.warning("no step times of %s: %s", decoded.path, error)
    if not rows:
        return ""
    said = f"One live stream on this machine, one thread, {SECONDS:g} s of a set's speech."
    return folded("Computing of a step", table(("model", "decoding", *HEADER), rows, 2)) + note(said)


def _measured(decoded: Decoded) -> StepTimes:
    import numpy as np
    import torch

    from xlsrt.data.waveforms import DataDir, load_samples, read_set
    from xlsrt.recognizer import Recognizer

    facts, threads = decoded.facts, torch.get_num_threads()
    recognizer = Recognizer.from_exp(
        decoded.path.parents[1], decoded.context, facts.get("search"), facts.get("model_file")
    )
    data = DataDir(decoded.need_data_dir())
    parts: Sequence[Any] = []
    for entry in read_set(data.path):
        parts = [*parts, load_samples(data, entry)[: int(SECONDS * SAMPLE_RATE)]]
        if sum(map(len, parts)) >= SECONDS * SAMPLE_RATE:
            break
    samples = np.concatenate(parts)[: int(SECONDS * SAMPLE_RATE)]
    torch.set_num_threads(1)
    try:
        return measure_steps(recognizer, samples, facts.get("packet_ms") or 80.0)
    finally:
        torch.set_num_threads(threads)
