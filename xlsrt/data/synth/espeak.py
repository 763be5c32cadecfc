"""espeak-ng through ctypes: text to samples, with the times of words and phonemes.

The library and its data come from the pip package `espeakng_loader`; nothing else of it is used. espeak-ng keeps one
global state in the process, so this module does as well: one library, opened at the first call, behind a lock. Forked
and spawned workers are fine, each has its own copy. Samples leave espeak at 22050 Hz.

The library carries state from one utterance to the next (flutter and oscillator phases), which changes samples but not
phonemes. `fresh=True` opens the library anew, so that samples depend on the arguments alone: same call, same bytes.
espeak-ng leaks about 160 kB each time, so long-running producers that do not need equal bytes leave it off.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xlsrt.errors import UserError

SAMPLE_RATE = 22050

# Values of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INIT_PHONEME_EVENTS, _INIT_PHONEME_IPA, _INIT_DONT_EXIT = 0x0001, 0x0002, 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE, _VOLUME, _PITCH, _RANGE, _WORDGAP = 1, 2, 3, 4, 7
_PHONEMES_IPA = 0x02
_SEPARATOR = "_"
_MAX_DATA_PATH = 120  # espeak keeps the path in a fixed buffer of 160 bytes and appends file names to it

# Stress, tone and espeak's own marks; and combining marks other than nasalisation and syllabicity: finer than any
# recogniser here needs, and rare enough to leave each variant with a handful of examples.
_DROPPED = str.maketrans("", "", "ˈˌ'\"0123456789˥˦˧˨˩-*;^|#.?_")
_KEPT_COMBINING = frozenset("\u0303\u0327\u0329")
_MODIFIERS = frozenset("ʲːʰᵝ̩̃")


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Span(NamedTuple):
    """A word or phoneme with its start and end in seconds of the samples returned beside it."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """What espeak said: int16 samples (S,) at `sample_rate`, words and IPA phonemes with times."""

    samples: np.ndarray
    sample_rate: int
    words: tuple[Span, ...]
    phonemes: tuple[Span, ...]

    def __iter__(self) -> Iterator[Any]:
        """Unpacks as (samples, sample rate, word spans)."""
        return iter((self.samples, self.sample_rate, self.words))


class _Library:
    """The opened library; collects what its callback delivers."""

    def __init__(self) -> None:
        import espeakng_loader

        self.dll = ctypes.CDLL(espeakng_loader.get_library_path())
        options = _INIT_PHONEME_EVENTS | _INIT_PHONEME_IPA | _INIT_DONT_EXIT
        rate = self.dll.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, _data_path().encode(), options)
        if rate != SAMPLE_RATE:
            raise UserError(
                f"espeak-ng did not start with its data in {_data_path()} (returned {rate}); "
                "reinstall the package espeakng-loader"
            )
        self.dll.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.dll.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self.audio: list[np.ndarray] = []
        self.events: list[tuple[int, int, int, int, bytes]] = []
        self._callback = _Callback(self._receive)  # kept: ctypes does not hold a reference for the C side
        self.dll.espeak_SetSynthCallback(self._callback)
        self.voice = ""

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self.audio.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            event = events[i]
            if event.type in (_EVENT_WORD, _EVENT_PHONEME):
                name = b""
                if event.type == _EVENT_PHONEME:
                    name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                self.events.append((event.type, event.text_position, event.length, event.sample, name))
            i += 1
        return 0

    def set_voice(self, language: str, variant: str) -> None:
        name = f"{language}+{variant}" if variant else language
        if name == self.voice:
            return
        if self.dll.espeak_SetVoiceByName(name.encode()) != 0:
            self.voice = ""
            raise UserError(
                f"espeak-ng has no language {language!r}; see xlsrt.data.synth.languages for those used here"
            )
        self.voice = name

    def close(self) -> None:
        import _ctypes

        self.dll.espeak_Terminate()
        _ctypes.dlclose(self.dll._handle)


_lock = threading.RLock()
_library: _Library | None = None


@functools.cache
def _data_path() -> str:
    """Where espeak's data lie; a link to them in the temporary folder if that path is too long for espeak."""
    import espeakng_loader

    path = espeakng_loader.get_data_path()
    if len(path.encode()) <= _MAX_DATA_PATH:
        return str(path)
    folder = tempfile.mkdtemp(prefix="espeak")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = os.path.join(folder, "espeak-ng-data")
    os.symlink(path, link)
    return link


def _open(fresh: bool = False) -> _Library:
    global _library
    if fresh and _library is not None:
        _library.close()
        _library = None
    if _library is None:
        _library = _Library()
    return _library


@functools.cache
def variants() -> tuple[str, ...]:
    """Names of all voice variants (espeak's `!v` folder), sorted."""
    import espeakng_loader

    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return tuple(sorted(p.name for p in folder.iterdir()))


@functools.cache
def clean_phoneme(name: str) -> str:
    """An IPA symbol without stress, tone and fine marks; length, nasalisation and aspiration stay. May be empty."""
    if name.startswith("("):  # "(en)": what follows is read by another language's rules
        return ""
    letters = unicodedata.normalize("NFD", name.translate(_DROPPED)).replace("ε", "ɛ").replace("ᵝ", "")
    kept = "".join(c for c in letters if not unicodedata.combining(c) or c in _KEPT_COMBINING)
    return unicodedata.normalize("NFC", kept).strip()


def synthesize(
    text: str,
    language: str,
    variant: str = "",
    *,
    rate: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
    word_gap: int = 0,
    volume: int = 100,
    fresh: bool = False,
) -> Utterance:
    """Speaks `text`.

    Args:
        text: what to say, in the language's own orthography; digits are read out.
        language: espeak's language code, `en-us`, `et`, `fr` ...
        variant: one of `variants()`, or "" for the plain voice.
        rate: words per minute, 80 to 450.
        pitch, pitch_range: 0 to 99.
        word_gap: further pause between words, in units of 10 ms.
        volume: 0 to 200.
        fresh: samples become a function of the arguments alone, at about 5 ms more per call (see the module's head).

    Raises:
        UserError: unknown language or variant, a value out of range, or nothing to say.
    """
    _check("rate", rate, 80, 450)
    _check("pitch", pitch, 0, 99)
    _check("pitch_range", pitch_range, 0, 99)
    _check("volume", volume, 0, 200)
    if variant and variant not in variants():
        raise UserError(f"espeak-ng has no voice variant {variant!r}; known: {', '.join(variants())}")
    with _lock:
        library = _open(fresh)
        library.set_voice(language, variant)
        values = {_RATE: rate, _PITCH: pitch, _RANGE: pitch_range, _WORDGAP: word_gap, _VOLUME: volume}
        for number, value in values.items():
            library.dll.espeak_SetParameter(number, int(value), 0)
        library.audio.clear()
        library.events.clear()
        data = text.encode()
        status = library.dll.espeak_Synth(data, len(data) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if status != 0 or not library.audio:
            raise UserError(f"espeak-ng said nothing for {text!r} in {language!r} (status {status})")
        samples = np.concatenate(library.audio)
        events = list(library.events)
    return Utterance(
        samples, SAMPLE_RATE, _words(text, events, len(samples)), _phonemes(events, len(samples))
    )


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{name} is {value}; espeak-ng takes {low} to {high}")


def _phonemes(events: list[tuple[int, int, int, int, bytes]], end: int) -> tuple[Span, ...]:
    marks = [
        (sample, name.decode("utf-8", "ignore"))
        for kind, _, _, sample, name in events
        if kind == _EVENT_PHONEME
    ]
    spans: list[Span] = []
    for i, (start, name) in enumerate(marks):
        symbol = clean_phoneme(name)
        stop = min(marks[i + 1][0] if i + 1 < len(marks) else end, end) / SAMPLE_RATE
        if symbol and _MODIFIERS.issuperset(
            symbol
        ):  # a length or palatal glide by itself belongs to what it follows
            if spans:
                spans[-1] = spans[-1]._replace(end=stop)
        elif symbol:  # an empty name is a pause or a tone: it only ends the phoneme before it
            spans.append(Span(symbol, start / SAMPLE_RATE, stop))
    return tuple(spans)


def _words(text: str, events: list[tuple[int, int, int, int, bytes]], end: int) -> tuple[Span, ...]:
    """Words are those of the text, split at blanks; espeak may report several events inside one ("23").

    It may also report one for two that it runs together ("in the"): these share the span by their lengths in letters.
    """
    words = text.split()
    starts: dict[int, int] = {}
    word_at = _word_index(text)
    for kind, position, _, sample, _ in events:
        if kind == _EVENT_WORD and 0 < position <= len(word_at) and word_at[position - 1] >= 0:
            starts.setdefault(word_at[position - 1], sample)
    # A word ends where its last phoneme does; pauses after it carry no name.
    speech = [(p.start, p.end) for p in _phonemes(events, end)]
    order = sorted(starts)
    spans: list[Span] = []
    for i, index in enumerate(order):
        start = starts[index] / SAMPLE_RATE
        stop = (starts[order[i + 1]] if i + 1 < len(order) else end) / SAMPLE_RATE
        inside = [(a, b) for a, b in speech if start - 1e-4 <= a < stop - 1e-4]
        if inside:
            start, stop = inside[0][0], min(inside[-1][1], stop)
        group = words[0 if i == 0 else index : order[i + 1] if i + 1 < len(order) else len(words)]
        spans.extend(_shared(group, start, stop))
    return tuple(spans)


def _shared(words: list[str], start: float, stop: float) -> Iterator[Span]:
    marks = np.cumsum([0, *(len(word) for word in words)])
    for word, a, b in zip(words, marks, marks[1:], strict=False):
        scale = (stop - start) / marks[-1]
        yield Span(word, float(start + a * scale), float(start + b * scale))


def _word_index(text: str) -> list[int]:
    """For each character the index of the blank-separated word it is in, -1 for blanks."""
    result, word, inside = [], -1, False
    for char in text:
        if char.isspace():
            inside = False
            result.append(-1)
        else:
            word += not inside
            inside = True
            result.append(word)
    return result


def phonemes(text: str, language: str) -> list[str]:
    """IPA phonemes of `text` without stress and tone marks; affricates, diphthongs and long vowels are one symbol."""
    with _lock:
        library = _open()
        library.set_voice(language, "")
        data = ctypes.c_char_p(text.encode())
        pointer = ctypes.cast(ctypes.pointer(data), ctypes.POINTER(ctypes.c_void_p))
        mode = _PHONEMES_IPA | (ord(_SEPARATOR) << 8)
        clauses = []
        while pointer[0]:  # espeak goes clause by clause and sets the pointer to NULL at the end
            clauses.append(
                (library.dll.espeak_TextToPhonemes(pointer, _CHARS_UTF8, mode) or b"").decode(
                    "utf-8", "ignore"
                )
            )
    symbols = " ".join(clauses).replace(" ", _SEPARATOR).split(_SEPARATOR)
    return [s for s in map(clean_phoneme, symbols) if s and not _MODIFIERS.issuperset(s)]
