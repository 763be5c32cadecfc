"""Waveform normalisation against plain formulas."""

from __future__ import annotations

import torch

from xlsrt import XlsrConfig
from xlsrt.encoder.normalize import normalize_causal, normalize_utterance


def test_causal_is_the_running_mean_and_variance_with_a_prior() -> None:
    config = XlsrConfig.preset("tiny", causal_prior_samples=50, causal_prior_variance=0.01)
    wav = torch.randn(1, 300, dtype=torch.float64) * 0.3 + 0.1
    out, sums = normalize_causal(
        wav, torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.long), config
    )
    for t in (0, 1, 57, 299):
        # 50 prior samples of variance 0.01 and mean 0: half of them +0.1, half of them -0.1.
        known = torch.cat((torch.tensor([0.1, -0.1], dtype=torch.float64).repeat(25), wav[0, : t + 1]))
        expected = (wav[0, t] - known.mean()) / (known.var(unbiased=False) + config.input_norm_eps).sqrt()
        assert abs(float(out[0, t] - expected)) < 1e-12
    assert torch.allclose(sums[0], torch.stack((wav.sum(), wav.square().sum())))


def test_causal_goes_on_where_it_stopped_for_hours() -> None:
    """After ten hours the sums are large: a packet must still come out as one long sum would give it."""
    config = XlsrConfig.preset("tiny")
    seen = torch.tensor([10 * 3600 * 16000])
    sums = torch.tensor([[1e6, 2e6]], dtype=torch.float64)
    wav = torch.randn(1, 4000, dtype=torch.float64) * 0.1
    whole, _ = normalize_causal(wav, sums, seen, config)
    parts = []
    for packet in wav.split(7, dim=1):
        out, sums = normalize_causal(packet, sums, seen, config)
        seen = seen + packet.shape[1]
        parts.append(out)
    assert (torch.cat(parts, dim=1) - whole).abs().max() < 1e-12


def test_silence_is_finite() -> None:
    config = XlsrConfig.preset("tiny")
    out, _ = normalize_causal(torch.zeros(1, 100), torch.zeros(1, 2).double(), torch.zeros(1).long(), config)
    assert torch.isfinite(out).all()
    assert torch.isfinite(normalize_utterance(torch.zeros(1, 100), torch.tensor([100]), 1e-7)).all()


def test_utterance_ignores_padding() -> None:
    wav = torch.randn(2, 1000) + 3
    wav[1, 400:] = 0
    out = normalize_utterance(wav, torch.tensor([1000, 400]), 0.0)
    for row, size in enumerate((1000, 400)):
        assert abs(float(out[row, :size].mean())) < 1e-9
        assert abs(float(out[row, :size].var(unbiased=False)) - 1) < 1e-9
        assert (out[row, size:] == 0).all()
