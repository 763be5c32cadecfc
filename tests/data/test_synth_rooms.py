"""Degradations do what they say and leave time alone."""

from __future__ import annotations

import numpy as np
import pytest

from xlsrt.data.synth import rooms


def speech(seconds: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    n = int(seconds * rooms.SAMPLE_RATE)
    return (0.1 * rng.standard_normal(n) * np.sin(np.arange(n) / 2000)).astype(np.float32)


def spectrum_db(wav: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(wav)) ** 2
    hertz = np.fft.rfftfreq(len(wav), 1 / rooms.SAMPLE_RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean()))


@pytest.mark.parametrize("snr_db", [0.0, 12.0, 30.0])
def test_noise_has_the_ratio_asked_for(snr_db: float) -> None:
    wav, noise = speech(), rooms.coloured_noise(16000, np.random.default_rng(3))
    added = rooms.add_noise(wav, noise, snr_db) - wav
    assert 10 * np.log10(np.mean(wav**2) / np.mean(added**2)) == pytest.approx(snr_db, abs=0.01)


def test_silence_gets_no_noise() -> None:
    silence = np.zeros(800, np.float32)
    assert np.array_equal(rooms.add_noise(silence, speech(0.05), 10), silence)


@pytest.mark.parametrize("rt60", [0.1, 0.4, 0.9])
def test_rooms_keep_the_direct_sound_in_place_and_decay(rt60: float) -> None:
    response = rooms.random_room(np.random.default_rng(1), rt60)
    assert response[0] == 1
    early, late = response[len(response) // 4 : len(response) // 2], response[-len(response) // 4 :]
    assert np.mean(late**2) < 0.05 * np.mean(early**2)
    click = np.zeros(4000, np.float32)
    click[1000] = 1
    heard = rooms.reverberate(click, response)
    assert len(heard) == 4000
    assert np.abs(heard[:999]).max() < 1e-5
    assert heard[1000] == pytest.approx(1, abs=1e-4)


def test_reverberation_is_convolution() -> None:
    wav, response = speech(0.1), rooms.random_room(np.random.default_rng(2), 0.2)
    assert np.allclose(rooms.reverberate(wav, response), np.convolve(wav, response)[: len(wav)], atol=1e-5)


def test_band_limit_takes_the_highs() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal(32000).astype(np.float32)
    for seed in range(6):
        heard = rooms.band_limit(white, np.random.default_rng(seed))
        assert spectrum_db(heard, 7800, 8000) < spectrum_db(heard, 1000, 2000) - 3
        assert spectrum_db(heard, 1000, 2000) == pytest.approx(spectrum_db(white, 1000, 2000), abs=0.5)


def test_clip_and_level() -> None:
    wav = speech()
    peak = np.abs(wav).max()
    assert np.abs(rooms.clip(wav, 0.5)).max() == pytest.approx(0.5 * peak)
    assert np.abs(rooms.set_level(wav, -6.0)).max() == pytest.approx(10 ** (-6 / 20), rel=1e-5)
    assert not rooms.set_level(np.zeros(5, np.float32), -3).any()


def test_mu_law_error_falls_with_levels() -> None:
    wav = rooms.set_level(speech(), -1)
    errors = [float(np.abs(rooms.mu_law(wav, levels) - wav).max()) for levels in (64, 256, 65536)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


def test_noise_colours_differ() -> None:
    slopes = [
        spectrum_db(noise, 4000, 8000) - spectrum_db(noise, 100, 400)
        for noise in (rooms.coloured_noise(32000, np.random.default_rng(seed)) for seed in range(12))
    ]
    assert max(slopes) - min(slopes) > 10


@pytest.mark.parametrize("samples", [0, 1, 80, 16000])
def test_degrade_keeps_length_and_stays_finite(samples: int) -> None:
    wav = speech(2)[:samples]
    for seed in range(12):
        once = rooms.degrade(wav, np.random.default_rng(seed), babble=rooms.babble(wav) if samples else None)
        again = rooms.degrade(wav, np.random.default_rng(seed), babble=rooms.babble(wav) if samples else None)
        assert once.shape == wav.shape and once.dtype == np.float32
        assert np.isfinite(once).all() and np.abs(once).max(initial=0) <= 1
        assert np.array_equal(once, again)
