"""Waveform augmentation on the batch, in train mode: speed, spectral shape, noise, gain.

Everything is drawn from (seed, step, rank), so that a resumed training sees what an uninterrupted one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.settings import Settings
from xlsrt.units import SAMPLE_RATE


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """What is done to a training waveform; the defaults do nothing.

    Attributes:
        speed: factors of which one is drawn per batch, the same on all ranks, for instance [0.9, 1.0, 1.1];
            pitch and formants move along (resampling).
        gain_db: half-width of a uniform gain in dB, per utterance; 0 is off.
        noise_prob: share of utterances that get noise. noise_snr_db: [low, high] of its signal-to-noise
            ratio.
        noise_slope: [low, high] of the noise's spectral slope: 0 white, 1 pink, 2 brown.
        eq_prob: share of utterances with a random smooth equaliser. eq_db: its largest gain in dB.
        band_limit_prob: share of utterances that lose what lies below or above a random edge.
        low_edge_hz, high_edge_hz: [low, high] of those edges.
    """

    WHERE = "encoder_conf.augment"

    speed: tuple[float, ...] = ()
    gain_db: float = 0.0
    noise_prob: float = 0.0
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    noise_slope: tuple[float, float] = (0.0, 2.0)
    eq_prob: float = 0.0
    eq_db: float = 8.0
    band_limit_prob: float = 0.0
    low_edge_hz: tuple[float, float] = (60.0, 300.0)
    high_edge_hz: tuple[float, float] = (3200.0, 7800.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("noise_prob", "eq_prob", "band_limit_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"encoder_conf.augment.{name} is {getattr(self, name)}; it must be between 0 and 1"
                )
        for name in ("noise_snr_db", "noise_slope", "low_edge_hz", "high_edge_hz"):
            pair = getattr(self, name)
            if pair[0] > pair[1]:
                raise UserError(f"encoder_conf.augment.{name} is {list(pair)}; it must be [low, high]")
        if any(not 0.5 <= factor <= 2 for factor in self.speed):
            raise UserError(
                f"encoder_conf.augment.speed is {list(self.speed)}; factors must be between 0.5 and 2"
            )


class WaveAugment:
    """Apply an `AugmentConfig`. Not a module: it has no parameters and no state."""

    def __init__(self, config: AugmentConfig, seed: int = 0) -> None:
        self.config = config
        self.seed = seed

    def __call__(self, wav: Tensor, lens: Tensor, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Waveforms (B, S), lens (B,) -> augmented (B, S'), lens (B,); padding is zero.

        Args:
            wav: float samples. lens: samples of each. step: training batches before this one. rank: of the
                process.
        """
        config = self.config
        draw = batch_generator(self.seed, step, rank)
        if config.speed:
            # The same on all ranks: one with longer utterances would keep the others waiting.
            shared = draw if rank == 0 else batch_generator(self.seed, step, rank=0)
            wav, lens = _change_speed(wav, lens, config.speed[_randint(len(config.speed), shared)])
        if config.eq_prob or config.band_limit_prob:
            wav = self._shape_spectrum(wav, draw)
        if config.noise_prob:
            wav = self._add_noise(wav, lens, draw)
        if config.gain_db:
            gain = (_uniform(wav.size(0), draw, -config.gain_db, config.gain_db) / 20 * math.log(10)).exp()
            wav = wav * gain.to(wav).unsqueeze(1)
        positions = torch.arange(wav.size(1), device=wav.device)
        return wav.masked_fill(positions >= lens.to(wav.device).unsqueeze(1), 0), lens

    def _shape_spectrum(self, wav: Tensor, draw: torch.Generator) -> Tensor:
        """Multiply each spectrum by a smooth random curve, an equaliser and band edges in one."""
        config, (batch, samples) = self.config, wav.shape
        # Magnitudes on a coarse grid: 65 points from 0 to 8 kHz, 125 Hz apart.
        grid = torch.linspace(0, SAMPLE_RATE / 2, 65)
        knots = _uniform((batch, 1, 8), draw, -config.eq_db, config.eq_db)
        curve = torch.nn.functional.interpolate(knots, size=65, mode="linear", align_corners=True).squeeze(1)
        curve = curve * (_uniform(batch, draw) < config.eq_prob).unsqueeze(1)
        low = _uniform(batch, draw, *config.low_edge_hz).unsqueeze(1)
        high = _uniform(batch, draw, *config.high_edge_hz).unsqueeze(1)
        # 40 dB below the edge within 250 Hz, a telephone's or a cheap microphone's slope.
        cut = 40 * ((low - grid) / 250).clamp(0, 1) + 40 * ((grid - high) / 250).clamp(0, 1)
        curve = curve - cut * (_uniform(batch, draw) < config.band_limit_prob).unsqueeze(1)
        size = _fft_size(samples)
        gain = torch.nn.functional.interpolate(
            curve.unsqueeze(1), size=size // 2 + 1, mode="linear", align_corners=True
        ).squeeze(1)
        gain = (gain.to(wav) / 20 * math.log(10)).exp()
        return torch.fft.irfft(torch.fft.rfft(wav, n=size) * gain, n=size)[:, :samples]

    def _add_noise(self, wav: Tensor, lens: Tensor, draw: torch.Generator) -> Tensor:
        config, (batch, samples) = self.config, wav.shape
        size = _fft_size(samples)
        slope = _uniform((batch, 1), draw, *config.noise_slope)
        shape = torch.arange(size // 2 + 1).clamp(min=size // 512).pow(-0.5)[None] ** slope
        white = torch.randn(batch, size, generator=draw)
        noise = torch.fft.irfft(torch.fft.rfft(white.to(wav)) * shape.to(wav), n=size)[:, :samples]
        noise = noise / noise.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-9)
        level = (wav.pow(2).sum(1) / lens.to(wav).clamp(min=1)).sqrt()
        snr = _uniform(batch, draw, *config.noise_snr_db)
        wanted = (-snr / 20 * math.log(10)).exp() * (_uniform(batch, draw) < config.noise_prob)
        return wav + noise * (level * wanted.to(wav)).unsqueeze(1)


def batch_generator(seed: int, step: int, rank: int) -> torch.Generator:
    """The randomness of one training batch, on the CPU so that it does not depend on the device."""
    return torch.Generator().manual_seed(((seed * 1_000_003 + step) * 1_009 + rank) % 2**63)


def _uniform(
    size: int | tuple[int, ...], draw: torch.Generator, low: float = 0.0, high: float = 1.0
) -> Tensor:
    shape = (size,) if isinstance(size, int) else size
    return torch.rand(shape, generator=draw) * (high - low) + low


def _randint(high: int, draw: torch.Generator) -> int:
    return int(torch.randint(high, (1,), generator=draw))


def _fft_size(samples: int) -> int:
    """The next multiple of 3200: only factors 2 and 5 beside a small rest, which the FFT likes."""
    return max(3200, -(-samples // 3200) * 3200)


def _change_speed(wav: Tensor, lens: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    if factor == 1:
        return wav, lens
    from torchaudio.functional import resample

    percent = round(factor * 100)
    divisor = math.gcd(percent, 100)
    # The filter is a convolution: autocast would round the audio to the 8 bits of bfloat16.
    with torch.autocast(wav.device.type, enabled=False):
        faster = resample(wav, percent // divisor, 100 // divisor)
    return faster, (lens * 100 / percent).ceil().long().clamp(max=faster.size(1))
