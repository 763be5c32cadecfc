"""What happens to speech between mouth and file: rooms, noises, microphones, codecs, levels.

All functions take and return float32 samples (S,) at 16 kHz; lengths and the time of the direct sound are
kept, so word times stay true. Randomness comes from the generator given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from xlsrt.units import SAMPLE_RATE


@dataclass(frozen=True)
class Conditions:
    """Chances and ranges of the degradations of `degrade`.

    Each `p_...` is the chance of that step; `snr_db`, `rt60_s` (reverberation time), `gain_db` are ranges.
    """

    p_room: float = 0.5
    rt60_s: tuple[float, float] = (0.08, 0.9)
    p_noise: float = 0.7
    snr_db: tuple[float, float] = (3.0, 35.0)
    p_babble: float = 0.25
    p_tilt: float = 0.5
    p_band: float = 0.25
    p_codec: float = 0.15
    p_clip: float = 0.08
    gain_db: tuple[float, float] = (-26.0, -3.0)


def degrade(
    wav: np.ndarray,
    rng: np.random.Generator,
    conditions: Conditions = Conditions(),
    babble: np.ndarray | None = None,
) -> np.ndarray:
    """One random chain: room, microphone, noise, band, clipping, codec, level.

    Args:
        wav: speech (S,).
        babble: other voices to take noise from (any length > 0); without it noises are synthetic only.
    """
    c = conditions
    x = wav.astype(np.float32)
    if rng.random() < c.p_room:
        x = reverberate(x, random_room(rng, rng.uniform(*c.rt60_s)))
    if rng.random() < c.p_tilt:
        x = tilt(x, rng)
    if rng.random() < c.p_noise:
        if babble is not None and rng.random() < c.p_babble:
            noise = np.resize(babble, len(x)).astype(np.float32)
        else:
            noise = coloured_noise(len(x), rng)
        x = add_noise(x, noise, rng.uniform(*c.snr_db))
    if rng.random() < c.p_band:
        x = band_limit(x, rng)
    if rng.random() < c.p_clip:
        x = clip(x, rng.uniform(0.15, 0.7))
    x = set_level(x, rng.uniform(*c.gain_db))
    if rng.random() < c.p_codec:
        x = mu_law(x, int(rng.choice([64, 128, 256])))
    return x


def random_room(rng: np.random.Generator, rt60: float) -> np.ndarray:
    """A synthetic impulse response: direct sound at 0, a few early reflections, decaying noise.

    The tail loses 60 dB in `rt60` seconds, high frequencies faster, as in rooms with soft walls.
    """
    length = int(rt60 * 0.8 * SAMPLE_RATE) + 1
    t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    tail = rng.standard_normal(length, dtype=np.float32) * np.exp(-6.908 * t / rt60).astype(np.float32)
    tail = _damped(tail, rng.uniform(0.1, 0.6))
    onset = int(rng.uniform(0.002, 0.02) * SAMPLE_RATE)
    tail[:onset] = 0
    response = np.zeros(length, np.float32)
    response[0] = 1
    for _ in range(int(rng.integers(2, 9))):
        at = int(rng.uniform(0.001, 0.04) * SAMPLE_RATE)
        if at < length:
            response[at] += rng.uniform(-0.6, 0.6)
    # Energy of the tail against the direct sound: from a near microphone to the far end of the table.
    ratio = 10 ** (rng.uniform(-18, 2) / 20)
    norm = float(np.sqrt(np.sum(tail**2))) or 1.0
    return response + tail * np.float32(ratio / norm)


def _damped(wav: np.ndarray, damping: float) -> np.ndarray:
    """A one-pole low pass; through the spectrum, as scipy.signal takes a second to import."""
    n = scipy.fft.next_fast_len(len(wav) + 64, real=True)
    turn = np.exp(-2j * np.pi * np.arange(n // 2 + 1) / n)
    gain = ((1 - damping) / (1 - damping * turn)).astype(np.complex64)
    return scipy.fft.irfft(scipy.fft.rfft(wav, n) * gain, n)[: len(wav)].astype(np.float32)


def reverberate(wav: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolution, cut to the input's length."""
    n = scipy.fft.next_fast_len(len(wav) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(wav, n) * scipy.fft.rfft(response.astype(np.float32), n)
    return scipy.fft.irfft(spectrum, n)[: len(wav)].astype(np.float32)


def coloured_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a power spectrum of f^-a (a from 0, white, to 2, brown); at times with hum or swelling."""
    exponent = rng.uniform(0, 1) * 2
    n = scipy.fft.next_fast_len(max(length, 512), real=True)
    frequencies = np.arange(n // 2 + 1, dtype=np.float32) * (SAMPLE_RATE / n)
    shape = np.maximum(frequencies, 40) ** (-exponent / 2)
    if rng.random() < 0.3:  # a fan or an engine: one broad bump
        centre, width = rng.uniform(100, 3000), rng.uniform(50, 800)
        shape *= 1 + rng.uniform(2, 10) * np.exp(-0.5 * ((frequencies - centre) / width) ** 2)
    spectrum = scipy.fft.rfft(rng.standard_normal(n, dtype=np.float32)) * shape.astype(np.float32)
    noise = scipy.fft.irfft(spectrum, n)[:length].astype(np.float32)
    t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    if rng.random() < 0.2:
        base = rng.choice([50.0, 60.0])
        scale = float(np.std(noise)) * rng.uniform(0.3, 2)
        for harmonic in range(1, 5):
            noise += scale / harmonic * np.sin(2 * np.pi * base * harmonic * t + rng.uniform(0, 6.28))
    if rng.random() < 0.3:
        noise *= 1 + 0.8 * np.sin(2 * np.pi * rng.uniform(0.1, 2) * t + rng.uniform(0, 6.28))
    return noise.astype(np.float32)


def babble(wav: np.ndarray) -> np.ndarray:
    """Speech for the background: `wav` backwards, several times, out of step."""
    back = wav[::-1]
    return back + 0.7 * np.roll(back, len(wav) // 3) + 0.5 * np.roll(back, len(wav) // 2 + 777)


def add_noise(wav: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Adds noise so that the ratio of mean powers is `snr_db`; silence stays as it is."""
    speech_power = float(np.mean(wav**2)) if len(wav) else 0.0
    noise_power = float(np.mean(noise**2)) if len(noise) else 0.0
    if speech_power <= 0 or noise_power <= 0:
        return wav
    scale = np.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    return (wav + np.float32(scale) * noise).astype(np.float32)


def tilt(wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A microphone's colour: a slope over frequency and a few smooth bumps, up to about 8 dB, zero phase."""
    n = scipy.fft.next_fast_len(len(wav) + 1024, real=True)
    octaves = np.log2(np.maximum(np.arange(n // 2 + 1) * (SAMPLE_RATE / n), 60) / 1000)
    gain_db = rng.uniform(-3, 3) * octaves
    for _ in range(int(rng.integers(0, 4))):
        gain_db += rng.uniform(-6, 6) * np.exp(
            -0.5 * ((octaves - rng.uniform(-3, 3)) / rng.uniform(0.2, 0.8)) ** 2
        )
    gain = (10 ** (gain_db / 20)).astype(np.float32)
    return scipy.fft.irfft(scipy.fft.rfft(wav, n) * gain, n)[: len(wav)].astype(np.float32)


def band_limit(wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A telephone (300 to 3400 Hz) or some other channel that loses the highs or the lows."""
    n = scipy.fft.next_fast_len(len(wav) + 1024, real=True)
    frequencies = np.arange(n // 2 + 1) * (SAMPLE_RATE / n)
    if rng.random() < 0.5:
        low, high = 300.0, 3400.0
    else:
        low, high = rng.uniform(20, 250), rng.uniform(3500, 7600)
    gain = 1 / np.sqrt((1 + (low / np.maximum(frequencies, 1)) ** 6) * (1 + (frequencies / high) ** 16))
    return scipy.fft.irfft(scipy.fft.rfft(wav, n) * gain.astype(np.float32), n)[: len(wav)].astype(np.float32)


def clip(wav: np.ndarray, share: float) -> np.ndarray:
    """Cuts peaks at `share` of the largest one."""
    limit = float(np.max(np.abs(wav), initial=0)) * share
    return np.clip(wav, -limit, limit)


def mu_law(wav: np.ndarray, levels: int) -> np.ndarray:
    """Through a mu-law codec with that many levels."""
    mu = 255.0
    y = np.sign(wav) * np.log1p(mu * np.minimum(np.abs(wav), 1)) / np.log1p(mu)
    y = np.round(y * (levels / 2)) / (levels / 2)
    return (np.sign(y) * np.expm1(np.abs(y) * np.log1p(mu)) / mu).astype(np.float32)


def set_level(wav: np.ndarray, peak_db: float) -> np.ndarray:
    """Scales the largest sample to `peak_db` (0 is full scale)."""
    peak = float(np.max(np.abs(wav), initial=0))
    return wav if peak <= 0 else (wav * np.float32(10 ** (peak_db / 20) / peak)).astype(np.float32)
