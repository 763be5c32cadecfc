"""Full-size models with random weights: streams against the masked forward, and against the references.

By default few layers of full width, in seconds. All 24: ``pytest -m slow tests/parity`` (minutes, 8 GB).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder

BOUND = {torch.float32: 1e-4, torch.float64: 1e-9}
DEPTHS = [pytest.param(2, id="2 layers"), pytest.param(24, id="24 layers", marks=pytest.mark.slow)]


def random_encoder(preset: str, layers: int, **overrides: Any) -> XlsrEncoder:
    """Weights of the scale that keeps signals alive through 24 layers, without the cost of the usual init."""
    with torch.device("meta"):
        encoder = XlsrEncoder(XlsrConfig.preset(preset, num_layers=layers, **overrides))
    encoder.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.8, 1.2)
            elif parameter.dim() == 1:
                parameter.uniform_(-0.1, 0.1)
            else:
                bound = (3.0 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-bound, bound)
    return encoder


def audio(batch: int, samples: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.randn(batch, samples, generator=torch.Generator().manual_seed(1)) * 0.1 + 0.02).to(dtype)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("layers", DEPTHS)
def test_full_size_streams_equal_the_masked_forward(layers: int, dtype: torch.dtype) -> None:
    """Two streams of unequal lengths in one batch, unequal packets, against each whole alone."""
    encoder = random_encoder("xlsr_53", layers).to(dtype)
    context = AttentionContext(16, 20, 4)
    sizes = [25000, 17003]
    wav = audio(2, 25000, dtype)
    state = encoder.init_state(2, context)
    parts: list[list[torch.Tensor]] = [[], []]

    def give(y: torch.Tensor, lens: torch.Tensor) -> None:
        for row in range(2):
            parts[row].append(y[row, : lens[row]])

    at = [0, 0]
    for cut in [(1, 0), (7001, 9000), (0, 1), (11000, 8002), (25000, 25000)]:
        lens = [min(size, whole - start) for size, whole, start in zip(cut, sizes, at, strict=True)]
        packet = torch.zeros(2, max(lens), dtype=dtype)
        for row, size in enumerate(lens):
            packet[row, :size] = wav[row, at[row] : at[row] + size]
            at[row] += size
        y, y_lens, state = encoder.step(packet, state, torch.tensor(lens))
        give(y, y_lens)
    give(*encoder.flush(state))
    for row, size in enumerate(sizes):
        with torch.no_grad():
            wanted, lens = encoder(wav[row : row + 1, :size], None, context)
        found = torch.cat(parts[row])
        assert found.shape == wanted[0].shape == (int(lens), 1024)
        assert wanted.std() > 0.1
        assert (found - wanted[0]).abs().max() <= BOUND[dtype]


@pytest.mark.parametrize("layers", DEPTHS)
def test_full_attention_equals_torchaudio(layers: int) -> None:
    torchaudio = pytest.importorskip("torchaudio", reason="comparison with torchaudio needs torchaudio")
    ours = random_encoder("xls_r_300m", layers, input_norm="utterance", input_norm_eps=1e-5)
    from xlsrt.bench.reference import torchaudio_model

    theirs = torchaudio_model(ours.config)
    if layers == 24:
        theirs = torchaudio.models.wav2vec2_xlsr_300m().eval()
    mine = ours.state_dict()
    renamed = {
        name: mine[
            name.replace("encoder.feature_projection.", "feature_projection.").replace("transformer.", "")
        ]
        for name in theirs.state_dict()
    }
    theirs.load_state_dict(renamed, strict=True)
    wav = audio(1, 30000)
    with torch.no_grad():
        wanted, _ = theirs(torch.nn.functional.layer_norm(wav, wav.shape))
        found, _ = ours(wav, None, AttentionContext.full())
    assert found.shape == wanted.shape and wanted.std() > 0.1
    assert (found - wanted).abs().max() <= 1e-4


@pytest.mark.parametrize("layers", DEPTHS)
def test_full_attention_equals_hugging_face(layers: int) -> None:
    transformers = pytest.importorskip("transformers", reason="comparison needs transformers")
    from xlsrt.bench.reference import hugging_face_model

    assert transformers
    ours = random_encoder("xls_r_300m", layers, input_norm="utterance")
    theirs = hugging_face_model(ours.config)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    wav = audio(1, 30000)
    clean = (wav - wav.mean()) / (wav.var(unbiased=False) + 1e-7).sqrt()
    with torch.no_grad():
        wanted = theirs(clean).last_hidden_state
        found, _ = ours(wav, None, AttentionContext.full())
    assert found.shape == wanted.shape and wanted.std() > 0.1
    assert (found - wanted).abs().max() <= 1e-4
