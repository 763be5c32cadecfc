"""A stream frame by frame: what has been heard, what waits, what is computed, what the cache holds.

Frames are encoder frames of 20 ms. All of it follows from `AttentionContext`; the encoder's own cache is
compared with it in the tests.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError
from xlsrt.report.patterns import CHUNK, PAST, SINK, Colour
from xlsrt.units import HOP, SAMPLE_RATE, WINDOW

"""Samples between frames and of a frame's window, at 16 kHz."""

UNHEARD: Colour = (255, 255, 255)
INK: Colour = (27, 36, 48)
WAITING: Colour = (168, 176, 186)
FORGOTTEN: Colour = (226, 231, 237)
NAMES = {
    "waits for its chunk": WAITING,
    "computed now": CHUNK,
    "kept as left context": PAST,
    "kept as sink": SINK,
    "given out, forgotten": FORGOTTEN,
}


@dataclass(frozen=True)
class Moment:
    """The stream after a packet.

    Attributes:
        samples: received so far. heard: frames whose audio is there.
        computed: (first, beyond) frames that this packet let the encoder give out; equal where none.
        cached: frames whose keys and values are kept for the next chunk, in order.
    """

    samples: int
    heard: int
    computed: tuple[int, int]
    cached: tuple[int, ...]


def simulate(context: AttentionContext, samples: int, packet: int) -> list[Moment]:
    """A stream of so many samples that arrives in packets of ``packet`` samples and is then ended.

    Raises:
        UserError: full attention, which computes nothing before the end.
    """
    chunk = context.chunk_frames
    if chunk is None:
        raise UserError("full attention computes nothing before the end: choose a context with chunks")
    moments, done = [], 0
    received = 0
    while received < samples:
        received = min(received + packet, samples)
        heard = max(0, (received - WINDOW) // HOP + 1)
        # The end of the audio closes the last chunk, however short.
        complete = heard if received == samples else heard // chunk * chunk
        moments.append(Moment(received, heard, (done, complete), _cached(context, complete)))
        done = complete
    return moments


def _cached(context: AttentionContext, done: int) -> tuple[int, ...]:
    """Frames before ``done`` that the chunk which begins there (or contains it) still sees."""
    chunk = context.chunk_frames
    assert chunk is not None
    following = -(-done // chunk) * chunk
    past = np.arange(done)
    return tuple(past[np.broadcast_to(context.visible(following, past), past.shape)].tolist())


def colours(context: AttentionContext, moment: Moment, frames: int) -> np.ndarray:
    """(frames, 3) uint8: the state of every frame, as in `NAMES`."""
    row = np.full((frames, 3), UNHEARD, dtype=np.uint8)
    row[: moment.heard] = WAITING
    row[: moment.computed[1]] = FORGOTTEN
    for frame, colour in zip(moment.cached, _kept_colours(context, moment), strict=True):
        row[frame] = colour
    row[moment.computed[0] : moment.computed[1]] = CHUNK
    return row


def picture(context: AttentionContext, seconds: float, packet_ms: float) -> np.ndarray:
    """(packets, frames, 3) uint8: a row for each packet, a column for each frame."""
    moments = _moments(context, seconds, packet_ms)
    return np.stack([colours(context, moment, moments[-1].heard) for moment in moments])


def _moments(context: AttentionContext, seconds: float, packet_ms: float) -> list[Moment]:
    if seconds < WINDOW / SAMPLE_RATE or packet_ms * SAMPLE_RATE < 1000:
        raise UserError(f"{seconds} s in packets of {packet_ms} ms: nothing to see")
    return simulate(context, round(seconds * SAMPLE_RATE), round(packet_ms * SAMPLE_RATE / 1000))


def animation(context: AttentionContext, seconds: float, packet_ms: float, frame_bytes: int = 0) -> bytes:
    """The stream as a GIF, one picture for a packet, in real time.

    Args:
        frame_bytes: keys and values of a frame in all layers; 0: the size of the cache is not said in MB.
    """
    from PIL import Image, ImageDraw

    moments = _moments(context, seconds, packet_ms)
    frames = moments[-1].heard
    wide = max(1, 620 // frames)
    slots = max(len(m.cached) for m in moments)
    pictures = []
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in (UNHEARD, INK, *NAMES.values()) for value in colour])
    for moment in moments:
        image = Image.new("RGB", (40 + wide * frames, 176), UNHEARD)
        pen = ImageDraw.Draw(image)
        row = colours(context, moment, frames)
        pen.text((20, 8), f"audio {moment.samples / 16000:5.2f} s", fill=INK)
        pen.text((150, 8), f"heard {moment.heard}   given out {moment.computed[1]}", fill=INK)
        for frame, colour in enumerate(row.tolist()):
            _cell(pen, 20 + wide * frame, 28, wide, tuple(colour))
        for start in range(0, frames, context.chunk_frames or 1):
            pen.line([(20 + wide * start, 24), (20 + wide * start, 58)], fill=WAITING)
        held = f"cache: {len(moment.cached)} of {slots} frames"
        held += f", {len(moment.cached) * frame_bytes / 1e6:.1f} MB" if frame_bytes else ""
        pen.text((20, 68), held, fill=INK)
        kept = _kept_colours(context, moment)
        for slot in range(slots):
            _cell(pen, 20 + wide * slot, 86, wide, kept[slot] if slot < len(kept) else UNHEARD)
        for number, (name, colour) in enumerate(NAMES.items()):
            x, y = 20 + 210 * (number % 3), 130 + 20 * (number // 3)
            pen.rectangle((x, y, x + 10, y + 10), fill=colour)
            pen.text((x + 16, y - 1), name, fill=INK)
        # One palette for all pictures: of each only what has changed is then written.
        pictures.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    buffer = io.BytesIO()
    times = [round(packet_ms)] * (len(pictures) - 1) + [2000]
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0, optimize=False
    )
    return buffer.getvalue()


def _cell(pen: Any, x: int, y: int, width: int, colour: Sequence[int]) -> None:
    pen.rectangle((x, y, x + width - 1, y + 26), fill=tuple(colour), outline=FORGOTTEN if width > 4 else None)


def _kept_colours(context: AttentionContext, moment: Moment) -> list[Colour]:
    """A colour for each frame in the cache: those that only the sinks keep differ."""
    left = math.inf if context.left_frames is None else context.left_frames
    chunk = context.chunk_frames or 1
    begin = -(-moment.computed[1] // chunk) * chunk - left
    return [PAST if frame >= begin else SINK for frame in moment.cached]
