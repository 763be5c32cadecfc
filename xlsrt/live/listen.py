"""Files, raw samples on standard input or a microphone through a recogniser."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from xlsrt.data.interrupt import Interrupt
from xlsrt.data.microphone import microphone_packets
from xlsrt.data.sources import packets_of
from xlsrt.errors import UserError
from xlsrt.live.documents import Documents
from xlsrt.recognizer import EndpointRules, Recognizer, Result

MICROPHONE = "microphone"
FILE_SECONDS, LIVE_SECONDS = 20, 1
"""Packets whose partial results nobody sees, of a file and of what comes as it is spoken."""


@dataclass(frozen=True)
class Listening:
    """How audio comes in.

    Attributes:
        rules: endpoint rules or None.
        partials: show partial results on standard error. packet_ms: audio between two of them.
        realtime: take no packet earlier than it would have been spoken.
        raw_format, raw_rate: of raw samples, see `xlsrt.data.sources.RAW_FORMATS`; samples a second.
        device: of the microphone, "" for the system's choice; None: there is none, sources are files.
    """

    rules: EndpointRules | None = None
    partials: bool = False
    packet_ms: int = 200
    realtime: bool = False
    raw_format: str = "s16le"
    raw_rate: int = 16000
    device: str | None = None

    def is_live(self, name: str) -> bool:
        """Whether a source comes as it is spoken: a microphone or standard input."""
        return self.device is not None or name == "-"

    def packets(self, name: str, rate: int, longest: float, interrupt: Interrupt) -> Iterator[np.ndarray]:
        """The samples of a source, ``rate`` a second; a file of over ``longest`` seconds is refused."""
        unseen = LIVE_SECONDS if self.is_live(name) else FILE_SECONDS
        size = self.packet_ms * rate // 1000 if self.partials else unseen * rate
        if self.device is not None:
            return microphone_packets(self.device, size, interrupt)
        return packets_of(name, size, self.raw_format, self.raw_rate, longest, interrupt)


def transcribe_sources(
    recognizer: Recognizer, names: Sequence[str], how: Listening, documents: Documents
) -> None:
    """Every source in turn; of several, one that cannot be read is named and the others go on.

    Raises:
        UserError: a source could not be transcribed to its end. Of what comes as it is spoken, the text of
            all that came before is written, of a file none.
    """
    failed = 0
    for name in names:
        try:
            with documents.of(name, how.is_live(name)) as document:
                for result in listen(recognizer, name, how):
                    document.add(result)
        except UserError as error:
            if len(names) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(names)} files could not be transcribed, see above")


def listen(recognizer: Recognizer, name: str, how: Listening) -> Iterator[Result]:
    """The segments of one source as they close, the last one at its end.

    Ctrl-C ends a microphone and standard input as their own end would. So does an error, which is raised
    after the last segment then.
    """
    interrupt = Interrupt()
    live = how.is_live(name)
    # Nobody asks for a stream, and the encoder needs a recording's end before its first frame.
    quiet = how.rules is None and how.device is None and not how.partials
    whole = quiet and bool(recognizer.encoder.why_offline())
    longest = recognizer.encoder.config.max_stream_seconds if whole else _longest(recognizer, how.rules)
    packets = how.packets(name, recognizer.sample_rate, longest, interrupt)
    with interrupt.listening() if live else nullcontext():
        if whole:
            yield from _hear_whole(recognizer, packets, live)
        else:
            yield from _hear_stream(recognizer, packets, how, live)


def _hear_whole(recognizer: Recognizer, packets: Iterator[np.ndarray], live: bool) -> Iterator[Result]:
    parts = [np.zeros(0, dtype=np.float32)]
    try:
        for packet in packets:
            parts.append(packet)
    except UserError:
        if live:
            yield recognizer.transcribe(np.concatenate(parts))
        raise
    yield recognizer.transcribe(np.concatenate(parts))


def _hear_stream(
    recognizer: Recognizer, packets: Iterator[np.ndarray], how: Listening, live: bool
) -> Iterator[Result]:
    stream, rate = recognizer.stream(endpoint=how.rules), recognizer.sample_rate
    begin, sent, shown = time.monotonic(), 0, ""
    try:
        for packet in packets:
            sent += len(packet)
            if how.realtime:
                time.sleep(max(0.0, begin + sent / rate - time.monotonic()))
            partial = stream.accept(packet)
            yield from partial.finished
            if how.partials and partial.text != shown:
                shown = partial.text
                print(f"{sent / rate:8.2f} s  {partial.stable}|{partial.unstable}", file=sys.stderr)
    except UserError:
        if live:
            yield stream.finish()
        raise
    yield stream.finish()


def _longest(recognizer: Recognizer, rules: EndpointRules | None) -> float:
    """Seconds that one stream may last."""
    restarts = rules is not None and rules.restart_encoder
    bounded = recognizer.context.cache_frames is not None or restarts
    return math.inf if bounded else recognizer.encoder.config.max_stream_seconds
