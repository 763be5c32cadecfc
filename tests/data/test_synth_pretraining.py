"""Pretraining utterances: the seed decides, and phonemes lie where they sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xlsrt.data.synth import espeak, voices
from xlsrt.data.synth.pretraining import MAX_SECONDS, make_utterance


def test_a_seed_is_an_utterance() -> None:
    first = [make_utterance(seed) for seed in range(20)]
    again = [make_utterance(seed) for seed in reversed(range(20))][::-1]
    for a, b in zip(first, again, strict=True):
        assert (a.text, a.language, a.voice) == (b.text, b.language, b.voice)
        assert [p.label for p in a.phonemes] == [p.label for p in b.phonemes]
        assert np.abs([x.start - y.start for x, y in zip(a.phonemes, b.phonemes, strict=True)]).max() < 0.1
    assert len({a.text for a in first}) == 20
    assert len({a.language for a in first}) > 8
    assert len({a.voice.variant for a in first}) > 10


def test_exact_gives_the_same_samples() -> None:
    wavs = [make_utterance(seed, exact=True).wav for seed in (3, 4)]
    make_utterance(99)
    assert all(
        np.array_equal(make_utterance(seed, exact=True).wav, wav)
        for seed, wav in zip((3, 4), wavs, strict=True)
    )


def test_what_comes_out_is_sound() -> None:
    for seed in range(60):
        made = make_utterance(seed)
        assert made.wav.dtype == np.float32 and made.wav.ndim == 1
        assert 0.2 < len(made.wav) / 16000 <= MAX_SECONDS + 0.8
        assert np.isfinite(made.wav).all() and 0.01 < np.abs(made.wav).max() <= 1
        assert made.phonemes and made.phonemes[-1].end <= len(made.wav) / 16000
        assert all(a.start <= b.start for a, b in pairwise(made.phonemes))


def test_times_survive_the_formant_shift() -> None:
    """Sound begins with the first phoneme and ends with the last, in voices of every vocal tract."""
    shifts = []
    for seed in range(45):
        made = make_utterance(seed, clean=True)
        if made.voice.variant.startswith("RicishayMax"):
            continue  # their loud echo outlasts the last phoneme by 0.2 s and more
        shifts.append(made.voice.shift)
        loud = np.flatnonzero(np.abs(made.wav) > 0.02 * np.abs(made.wav).max()) / 16000
        assert loud[0] == pytest.approx(made.phonemes[0].start, abs=0.2), made
        assert loud[-1] == pytest.approx(made.phonemes[-1].end, abs=0.2), made
    assert min(shifts) < 0.9 and max(shifts) > 1.12


def test_no_voice_of_dev_or_test_is_heard() -> None:
    held_out = set(voices.DEV_VARIANTS) | set(voices.TEST_VARIANTS)
    assert not set(voices.DEV_VARIANTS) & set(voices.TEST_VARIANTS)
    rng = np.random.default_rng(0)
    drawn = [voices.random_voice(rng).variant for _ in range(3000)]
    heard = set(drawn)
    assert not heard & held_out
    assert len(heard) > 75
    assert 0.45 < sum(map(espeak.is_female, drawn)) / len(drawn) < 0.55
