"""Text to samples with espeak-ng, with the times of words and phonemes. Samples leave espeak at 22050 Hz.

The library carries state from one utterance to the next (flutter and oscillator phases), which changes
samples but not phonemes. `fresh=True` opens the library anew, so that samples depend on the arguments alone:
same call, same bytes. espeak-ng leaks about 160 kB each time: long-running producers leave it off.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlsrt.data.synth import espeak_library as library
from xlsrt.data.synth.espeak_library import SAMPLE_RATE, Event, is_female, variants
from xlsrt.errors import UserError

__all__ = [
    "SAMPLE_RATE",
    "Span",
    "Utterance",
    "clean_phoneme",
    "is_female",
    "phonemes",
    "synthesize",
    "variants",
]

# Stress, tone and espeak's own marks; and combining marks other than nasalisation and syllabicity: finer than
# any recogniser here needs, and rare enough to leave each variant with a handful of examples.
_DROPPED = str.maketrans("", "", "ˈˌ'\"0123456789˥˦˧˨˩-*;^|#.?_")
_KEPT_COMBINING = frozenset("\u0303\u0327\u0329")
_MODIFIERS = frozenset("ʲːʰᵝ\u0303\u0329")


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
        pitch: 0 to 99.
        pitch_range: 0 to 99.
        word_gap: further pause between words, in units of 10 ms.
        volume: 0 to 200.
        fresh: samples become a function of the arguments alone, at about 5 ms more per call.

    Raises:
        UserError: unknown language or variant, a value out of range, or nothing to say.
    """
    for name, value, low, high in (
        ("rate", rate, 80, 450),
        ("pitch", pitch, 0, 99),
        ("pitch_range", pitch_range, 0, 99),
        ("word_gap", word_gap, 0, 500),
        ("volume", volume, 0, 200),
    ):
        if not low <= value <= high:
            raise UserError(f"{name} is {value}: espeak-ng takes {low} to {high}")
    if not text.strip():
        raise UserError("there is nothing to say in an empty text: give espeak-ng words or numbers")
    if variant and variant not in variants():
        raise UserError(f"espeak-ng has no voice variant {variant!r}: it has {', '.join(variants())}")
    with library.lock:
        opened = library.open_library(fresh)
        opened.set_voice(language, variant)
        samples, events = opened.speak(
            text,
            {
                library.RATE: rate,
                library.PITCH: pitch,
                library.RANGE: pitch_range,
                library.WORDGAP: word_gap,
                library.VOLUME: volume,
            },
        )
    return Utterance(
        samples, SAMPLE_RATE, _words(text, events, len(samples)), _phonemes(events, len(samples))
    )


def phonemes(text: str, language: str) -> list[str]:
    """IPA phonemes of `text`, see `clean_phoneme`; affricates, diphthongs and long vowels are one symbol."""
    with library.lock:
        opened = library.open_library()
        opened.set_voice(language)
        clauses = opened.clauses(text)
    symbols = " ".join(clauses).replace(" ", library.SEPARATOR).split(library.SEPARATOR)
    return [s for s in map(clean_phoneme, symbols) if s and not _MODIFIERS.issuperset(s)]


@functools.cache
def clean_phoneme(name: str) -> str:
    """An IPA symbol without stress, tone and fine marks; length and nasalisation stay. May be empty."""
    if name.startswith("("):  # "(en)": what follows is read by another language's rules
        return ""
    letters = unicodedata.normalize("NFD", name.translate(_DROPPED)).replace("ε", "ɛ").replace("ᵝ", "")
    kept = "".join(c for c in letters if not unicodedata.combining(c) or c in _KEPT_COMBINING)
    return unicodedata.normalize("NFC", kept).strip()


def _phonemes(events: list[Event], end: int) -> tuple[Span, ...]:
    marks = [event for event in events if event.kind == library.EVENT_PHONEME]
    spans: list[Span] = []
    for i, mark in enumerate(marks):
        symbol = clean_phoneme(mark.name)
        stop = min(marks[i + 1].sample if i + 1 < len(marks) else end, end) / SAMPLE_RATE
        if symbol and _MODIFIERS.issuperset(symbol):
            if spans:  # a length mark or glide by itself belongs to what it follows
                spans[-1] = spans[-1]._replace(end=stop)
        elif symbol:  # an empty name is a pause or a tone: it only ends the phoneme before it
            spans.append(Span(symbol, mark.sample / SAMPLE_RATE, stop))
    return tuple(spans)


def _words(text: str, events: list[Event], end: int) -> tuple[Span, ...]:
    """Words are those of the text, split at blanks; espeak may report several events inside one ("23").

    It may also report one for two that it runs together ("in the"): these share its span by their letters.
    """
    words = text.split()
    starts: dict[int, int] = {}
    word_at = _word_index(text)
    for event in events:
        if event.kind == library.EVENT_WORD and 0 < event.position <= len(word_at):
            index = word_at[event.position - 1]
            if index >= 0:
                starts.setdefault(index, event.sample)
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
