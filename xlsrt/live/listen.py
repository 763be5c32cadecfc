"""Files, raw samples on standard input or a microphone through a recogniser."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import FrameType

import numpy as np

from xlsrt.data.sources import microphone_packets, packets_of
from xlsrt.errors import UserError
from xlsrt.live.documents import Documents
from xlsrt.recognizer import EndpointRules, Recognizer, Result

MICROPHONE = "microphone"
FILE_SECONDS = 20
"""Packets of a file whose partial results nobody sees."""


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

    def packets(self, name: str, rate: int, longest: float) -> Iterator[np.ndarray]:
        """The samples of a source, ``rate`` a second; a file of over ``longest`` seconds is refused."""
        size = self.packet_ms * rate // 1000 if self.partials else FILE_SECONDS * rate
        if self.device is not None:
            return microphone_packets(self.device, size)
        return packets_of(name, size, self.raw_format, self.raw_rate, longest)


def transcribe_sources(
    recognizer: Recognizer, names: Sequence[str], how: Listening, documents: Documents
) -> None:
    """Every source in turn; of several, one that cannot be read is named and the others go on.

    Raises:
        UserError: a source could not be transcribed.
    """
    failed = 0
    for name in names:
        try:
            documents.write(name, listen(recognizer, name, how))
        except UserError as error:
            if len(names) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(names)} files could not be transcribed, see above")


def listen(recognizer: Recognizer, name: str, how: Listening) -> list[Result]:
    """All segments of one source. Ctrl-C ends a microphone and standard input, as their own end would."""
    rate = recognizer.sample_rate
    if recognizer.encoder.why_offline() and how.rules is None and how.device is None and not how.partials:
        # Nobody asked for a stream, and this encoder needs a recording's end before its first frame.
        packets = list(how.packets(name, rate, recognizer.encoder.config.max_stream_seconds))
        return [recognizer.transcribe(np.concatenate([np.zeros(0, dtype=np.float32), *packets]))]
    stream = recognizer.stream(endpoint=how.rules)
    results: list[Result] = []
    begin, sent, shown = time.monotonic(), 0, ""
    coming = how.packets(name, rate, _longest(recognizer, how.rules))
    live = how.device is not None or name == "-"
    with UntilAsked(coming) if live else nullcontext(coming) as given:
        for packet in given:
            sent += len(packet)
            if how.realtime:
                time.sleep(max(0.0, begin + sent / rate - time.monotonic()))
            partial = stream.accept(packet)
            results += partial.finished
            if how.partials and partial.text != shown:
                shown = partial.text
                print(f"{sent / rate:8.2f} s  {partial.stable}|{partial.unstable}", file=sys.stderr)
    return [*results, stream.finish()]


class UntilAsked:
    """Packets of a live source until Ctrl-C: it takes effect while the next packet is waited for, never amid
    one that is being heard, so nothing that was heard is lost. Elsewhere than in the main thread, where
    signals cannot be caught, Ctrl-C ends the program as always.
    """

    def __init__(self, packets: Iterator[np.ndarray]) -> None:
        self._packets = packets
        self._asked = self._waiting = False

    def __enter__(self) -> Iterator[np.ndarray]:
        self._catches = threading.current_thread() is threading.main_thread()
        if self._catches:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self._until_asked()

    def __exit__(self, *error: object) -> None:
        if self._catches:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if self._waiting:
            raise KeyboardInterrupt

    def _until_asked(self) -> Iterator[np.ndarray]:
        while not self._asked:
            try:
                self._waiting = True
                packet = next(self._packets, None)
            except KeyboardInterrupt:
                return
            finally:
                self._waiting = False
            if packet is None:
                return
            yield packet


def _longest(recognizer: Recognizer, rules: EndpointRules | None) -> float:
    """Seconds that one stream may last."""
    restarts = rules is not None and rules.restart_encoder
    bounded = recognizer.context.cache_frames is not None or restarts
    return math.inf if bounded else recognizer.encoder.config.max_stream_seconds
