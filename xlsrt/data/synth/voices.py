"""Voices: an espeak variant at some pitch and rate, its formants shifted by playing it faster or slower."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import soxr

from xlsrt.data.synth import espeak
from xlsrt.units import SAMPLE_RATE

TARGET_RATE = SAMPLE_RATE

# Effects rather than voices: whispering carries no pitch and the robots no formant movement. Kept, but rare.
_RARE = frozenset({"whisper", "whisperf", "croak", "Demonic", "UniRobot", "anikaRobot", "Tweaky"})
_RARE_SHARE = 0.04

# Voices of the mini corpus's dev and test sets: no training and no pretraining uses them.
DEV_VARIANTS = ("f3", "m4", "norbert", "travis")
TEST_VARIANTS = ("belinda", "f2", "f4", "f5", "linda", "m2", "m7", "miguel", "paul", "quincy")
# espeak reads memory it never wrote for these: not the same bytes twice.
_UNSTABLE = frozenset({"Reed", "caleb"})
_HELD_OUT = frozenset(DEV_VARIANTS + TEST_VARIANTS)


@dataclass(frozen=True)
class Voice:
    """One way of speaking.

    Attributes:
        variant: espeak's voice variant.
        rate: words per minute that are heard (after the shift).
        pitch, pitch_range: espeak's values, 0 to 99.
        shift: factor on all frequencies (vocal tract length); 1.1 is a smaller speaker.
    """

    variant: str
    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50
    shift: float = 1.0


@dataclass(frozen=True)
class Speech:
    """float32 samples (S,) at 16 kHz in [-1, 1]; words and phonemes with times in seconds."""

    samples: np.ndarray
    words: tuple[espeak.Span, ...]
    phonemes: tuple[espeak.Span, ...]


@functools.cache
def training_variants(rare: bool = False, exact: bool = False) -> tuple[str, ...]:
    """espeak's variants that training may use: the effects alone if `rare`, else all others.

    `exact` leaves out those that do not give the same bytes twice.
    """
    out = _HELD_OUT | _UNSTABLE if exact else _HELD_OUT
    return tuple(v for v in espeak.variants() if v not in out and (v in _RARE) == rare)


@functools.cache
def balanced(variants: tuple[str, ...]) -> tuple[str, ...]:
    """Female variants and others in turn, equally many, the fewer of them again and again: espeak has ten
    female ones among the eighty that training may use, and every second speaker is a woman.
    """
    groups = [[v for v in variants if espeak.is_female(v) is female] for female in (False, True)]
    longest = max(map(len, groups))
    return tuple(group[i % len(group)] for i in range(longest) for group in groups if group)


def random_voice(rng: np.random.Generator) -> Voice:
    """Any of thousands of voices, half of them female: variants x pitch x range x rate x formant shift."""
    names = balanced(training_variants(rare=rng.random() < _RARE_SHARE))
    return Voice(
        variant=names[rng.integers(len(names))],
        rate=int(rng.integers(115, 235)),
        pitch=int(np.clip(rng.normal(50, 20), 5, 95)),
        pitch_range=int(np.clip(rng.normal(50, 22), 5, 99)),
        shift=float(rng.uniform(0.85, 1.18)),
    )


def speak(text: str, language: str, voice: Voice, *, word_gap: int = 0, fresh: bool = False) -> Speech:
    """Says `text` with `voice`; `fresh` as in `espeak.synthesize`."""
    said = espeak.synthesize(
        text,
        language,
        voice.variant,
        rate=int(np.clip(round(voice.rate / voice.shift), 80, 450)),
        pitch=voice.pitch,
        pitch_range=voice.pitch_range,
        word_gap=word_gap,
        fresh=fresh,
    )
    # Read as if sampled `shift` times faster: formants and pitch move up by it, and time runs faster.
    samples = soxr.resample(
        said.samples.astype(np.float32) / 32768, said.sample_rate * voice.shift, TARGET_RATE
    )
    return Speech(samples, _scaled(said.words, voice.shift), _scaled(said.phonemes, voice.shift))


def _scaled(spans: tuple[espeak.Span, ...], factor: float) -> tuple[espeak.Span, ...]:
    return tuple(espeak.Span(s.label, s.start / factor, s.end / factor) for s in spans)
