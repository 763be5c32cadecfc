"""Utterances for pretraining, made on the fly: any seed gives speech in some language and timed phonemes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlsrt.data.synth import rooms, texts, voices
from xlsrt.data.synth.espeak import Span
from xlsrt.data.synth.languages import LANGUAGES, Language

MAX_SECONDS = 12.0
# Milder than rooms.Conditions: most of the time the encoder should hear what it is asked for.
_CONDITIONS = rooms.Conditions(p_room=0.3, p_noise=0.5, snr_db=(8.0, 40.0), p_babble=0.1, p_band=0.2)
_WEIGHTS = np.cumsum([language.weight for language in LANGUAGES])


@dataclass(frozen=True)
class PretrainingUtterance:
    """Speech with what was said.

    Attributes:
        wav: (S,) float32 at 16 kHz, degraded.
        phonemes: IPA symbols with start and end in seconds of `wav`.
        language: espeak's code.
        text: what was spoken.
        voice: who spoke.
    """

    wav: np.ndarray
    phonemes: tuple[Span, ...]
    language: str
    text: str
    voice: voices.Voice


def make_utterance(seed: int, exact: bool = False, clean: bool = False) -> PretrainingUtterance:
    """The utterance of a seed.

    Text, language, voice, phonemes and degradations are functions of the seed. Samples may differ in the
    phase of espeak's oscillators, and times by some milliseconds, unless `exact` (see `espeak.synthesize`).
    `clean` leaves out rooms, noises and the like.
    """
    rng = np.random.default_rng(seed)
    while True:
        language = _language(rng)
        voice = voices.random_voice(rng)
        text = texts.random_text(language, rng)
        word_gap = int(rng.choice([0, 0, 0, 3, 8, 20]))
        speech = voices.speak(text, language.code, voice, word_gap=word_gap, fresh=exact)
        if speech.phonemes and len(speech.samples) <= MAX_SECONDS * voices.TARGET_RATE:
            break
    lead, tail = (int(rng.uniform(0, 0.4) * voices.TARGET_RATE) for _ in range(2))
    wav = np.pad(speech.samples, (lead, tail))
    shift = lead / voices.TARGET_RATE
    phonemes = tuple(Span(p.label, p.start + shift, p.end + shift) for p in speech.phonemes)
    if not clean:
        wav = rooms.degrade(wav, rng, _CONDITIONS, babble=rooms.babble(wav))
    return PretrainingUtterance(wav.astype(np.float32), phonemes, language.code, text, voice)


def _language(rng: np.random.Generator) -> Language:
    return LANGUAGES[int(np.searchsorted(_WEIGHTS, rng.uniform(0, _WEIGHTS[-1]), side="right"))]
