"""Small random models of every family. Every parameter is random, so that no two tensors can be mistaken for
each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from xlsrt.encoder import XlsrConfig, XlsrEncoder

#: Two layers, 96 wide: our names.
SMALL: dict[str, Any] = {"preset": "tiny", "pos_conv_kernel": 128}

HF_SMALL: dict[str, Any] = {
    "conv_dim": (32,) * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "mask_time_prob": 0.075,
    "num_codevectors_per_group": 4,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
    "vocab_size": 12,
}


def randomise(model: torch.nn.Module, seed: int = 0) -> Any:
    """Every parameter moved off its initial value, norms and biases too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def waveform(samples: int = 12345, seed: int = 1) -> torch.Tensor:
    """(1, S), with an offset and a scale that normalisation must take away."""
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed)) * 0.07 + 0.02


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    """Same names, same numbers, bit for bit."""
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


@pytest.fixture
def encoder() -> XlsrEncoder:
    return randomise(XlsrEncoder(XlsrConfig.from_dict(SMALL)))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Empty caches, and any attempt to reach a network fails as it does without one."""
    import socket

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
