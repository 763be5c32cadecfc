"""`Stream` and `StreamPool`: audio in packets of any size, text while it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from xlsrt.encoder.streaming import StreamTooLong
from xlsrt.errors import UserError
from xlsrt.recognizer.audio import as_samples, warn_of_scale
from xlsrt.recognizer.endpoint import EndpointRules
from xlsrt.recognizer.line import Line, advance, close, open_line
from xlsrt.recognizer.result import Partial, Result
from xlsrt.units import SAMPLE_RATE

if TYPE_CHECKING:
    from xlsrt.recognizer.recognizer import Recognizer


class Stream:
    """One stream of a recogniser. Made by `Recognizer.stream`; states live here, never in the model."""

    def __init__(self, recognizer: Recognizer, rules: EndpointRules | None, preview: bool) -> None:
        self._pool = StreamPool(recognizer, rules, preview)
        self._pool.open(0)

    def accept(self, samples: Any, rate: int = SAMPLE_RATE) -> Partial:
        """The next samples (S,), S >= 0 -> what is known now.

        A warning tells, once, of samples far beyond [-1, 1].

        Raises:
            UserError: bad samples (see `as_samples`), which leave the stream as it was, or a finished stream.
        """
        return self._pool.accept({0: samples}, rate)[0]

    def finish(self) -> Result:
        """The transcript of the open segment: of everything, where no endpoint closed one. Ends the stream.

        No padding is added: the same tokens as `Recognizer.transcribe`.
        """
        return self._pool.finish([0])[0]


class StreamPool:
    """Streams of different ages that are computed as one batch. Names may be anything hashable."""

    def __init__(self, recognizer: Recognizer, rules: EndpointRules | None, preview: bool) -> None:
        self._recognizer = recognizer
        self._rules = rules
        self._preview = preview
        self._lines: dict[Any, Line] = {}
        self._warned: set[Any] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def open(self, name: Any) -> None:
        """Begin the stream ``name``; a name may be used again after `finish`.

        Raises:
            UserError: a stream of that name is open, or it is nothing that a dict takes as a key.
        """
        if self._is_open(name):
            raise UserError(f"stream {name!r} is open already")
        self._lines[name] = open_line(self._recognizer._engine, self._rules)

    def accept(self, packets: Mapping[Any, Any], rate: int = SAMPLE_RATE) -> dict[Any, Partial]:
        """The next samples of some streams -> what is known of each now.

        Raises:
            UserError: no mapping, a stream is not open, its samples are bad, or it is too old to go on in a
                context that keeps all the past; then no stream has moved, and the message names it.
        """
        recognizer = self._recognizer
        if not isinstance(packets, Mapping):
            raise UserError(
                f"packets are a {type(packets).__name__}; give a mapping from the names of streams to their "
                "samples, such as {'caller 1': samples}"
            )
        lines = self._picked(list(packets))
        wavs, peaks = [], dict[Any, float]()
        for name, samples in packets.items():
            loud = partial(peaks.__setitem__, name) if recognizer.minds_scale else None
            try:
                wavs.append(as_samples(samples, rate, recognizer.device, recognizer.dtype, loud))
            except UserError as error:
                raise UserError(str(error) if len(packets) == 1 else f"stream {name!r}: {error}") from None
        if not lines:
            return {}
        try:
            moved = advance(recognizer._engine, lines, wavs)
        except StreamTooLong as error:
            names = list(packets)
            named = ", ".join(repr(names[row]) for row in error.rows)
            raise UserError(str(error) if len(names) == 1 else f"stream {named}: {error}") from None
        self._tell_scales(peaks)
        partials = self._partials(moved)
        self._lines.update(
            {name: replace(line, closed=()) for name, line in zip(packets, moved, strict=True)}
        )
        return dict(zip(packets, partials, strict=True))

    def finish(self, names: Iterable[Any]) -> dict[Any, Result]:
        """End streams -> the transcripts of their open segments.

        Raises:
            UserError: no list of names, or a stream is not open.
        """
        recognizer = self._recognizer
        if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
            raise UserError(f"names are {names!r}; give a list of the streams to end, such as ['caller 1']")
        names = list(names)
        lines = close(recognizer._engine, self._picked(names))
        results = {}
        for name, line in zip(names, lines, strict=True):
            hypothesis = recognizer.search.best(line.search)[0]
            results[name] = recognizer._result(hypothesis, line.start, line.searched)
            del self._lines[name]
            self._warned.discard(name)
        return results

    def _is_open(self, name: Any) -> bool:
        try:
            return name in self._lines
        except TypeError:
            kind = type(name).__name__
            raise UserError(
                f"stream {name!r}: a {kind} cannot be a name; take text, a number or a tuple of them"
            ) from None

    def _tell_scales(self, peaks: Mapping[Any, float]) -> None:
        """A warning for each stream whose samples are of another scale, once."""
        for name, peak in peaks.items():
            if name not in self._warned:
                whose = "the stream's audio" if len(self._lines) == 1 else f"the audio of stream {name!r}"
                warn_of_scale(peak, whose)
                self._warned.add(name)

    def _picked(self, names: list[Any]) -> list[Line]:
        for at, name in enumerate(names):
            if name in names[:at]:
                raise UserError(f"stream {name!r} is named twice")
            if not self._is_open(name):
                raise UserError(
                    f"stream {name!r} is not open: it has ended or was never opened; open a new one"
                )
        return [self._lines[name] for name in names]

    def _partials(self, lines: list[Line]) -> list[Partial]:
        search = self._recognizer.search
        previews = close(self._recognizer._engine, lines) if self._preview else lines
        return [
            self._partial(line, search.stable(line.search)[0], preview.search)
            for line, preview in zip(lines, previews, strict=True)
        ]

    def _partial(self, line: Line, stable: int, shown: Any) -> Partial:
        """``stable``: tokens that are certain; ``shown``: the search state whose best hypothesis is shown."""
        recognizer, tokens = self._recognizer, self._recognizer.tokens
        best = recognizer.search.best(shown)[0].tokens
        stable = tokens.whole_characters(best[:stable])
        finished = [recognizer._result(c.hypothesis, c.start, c.end) for c in line.closed]
        return Partial(tokens.text(best[:stable]), tokens.text(best[stable:], lead=stable > 0), finished)
