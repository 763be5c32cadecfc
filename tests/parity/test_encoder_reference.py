"""The encoder against Hugging Face's and torchaudio's: same random weights, same normalised waveform."""

from __future__ import annotations

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder

LENS = torch.tensor([16000, 9000, 12345])


def our_model(stable: bool, **overrides: object) -> XlsrEncoder:
    torch.manual_seed(1)
    fields = {"input_norm": "utterance", "layer_norm_first": stable, **overrides}
    if not stable:
        fields |= {"feat_extract_norm": "group", "conv_bias": False}
    return XlsrEncoder(XlsrConfig.preset("tiny", **fields)).eval()


def normalised(wav: torch.Tensor, eps: float) -> torch.Tensor:
    out = torch.zeros_like(wav)
    for row, size in enumerate(LENS.tolist()):
        part = wav[row, :size]
        out[row, :size] = (part - part.mean()) / (part.var(unbiased=False) + eps).sqrt()
    return out


def hugging_face(ours: XlsrEncoder) -> torch.nn.Module:
    transformers = pytest.importorskip(
        "transformers", reason="comparison with Hugging Face needs transformers"
    )
    c = ours.config
    config = transformers.Wav2Vec2Config(
        hidden_size=c.hidden_size,
        num_hidden_layers=c.num_layers,
        num_attention_heads=c.num_heads,
        intermediate_size=c.ffn_size,
        conv_dim=c.conv_dim,
        conv_kernel=c.conv_kernel,
        conv_stride=c.conv_stride,
        conv_bias=c.conv_bias,
        feat_extract_norm=c.feat_extract_norm,
        num_conv_pos_embeddings=c.pos_conv_kernel,
        num_conv_pos_embedding_groups=c.pos_conv_groups,
        do_stable_layer_norm=c.layer_norm_first,
    )
    theirs = transformers.Wav2Vec2Model(config).eval()
    # Strict: our parameter names are theirs, none missing, none to spare.
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@pytest.mark.parametrize("kernel", [128, 95])
def test_equals_hugging_face_with_stable_layer_norm(kernel: int) -> None:
    ours = our_model(stable=True, pos_conv_kernel=kernel)
    theirs = hugging_face(ours)
    wav = torch.randn(3, 16000) * 0.1 + 0.02
    padding = torch.arange(16000) < LENS[:, None]
    with torch.no_grad():
        y, y_lens = ours(wav, LENS, AttentionContext.full())
        reference = theirs(normalised(wav, 1e-7), attention_mask=padding.long()).last_hidden_state
    assert y.shape == reference.shape
    assert y_lens.tolist() == [49, 27, 38]
    for row, size in enumerate(y_lens.tolist()):
        assert (y[row, :size] - reference[row, :size]).abs().max() <= 1e-4


def test_equals_hugging_face_with_group_norm_and_post_norm() -> None:
    ours = our_model(stable=False)
    theirs = hugging_face(ours)
    wav = torch.randn(3, 16000) * 0.1
    clean = normalised(wav, 1e-7)
    with torch.no_grad():
        y, y_lens = ours(wav, LENS, AttentionContext.full())
        for row, size in enumerate(LENS.tolist()):
            # Alone: their group norm runs over the padding of a batch, ours does not.
            reference = theirs(clean[row : row + 1, :size]).last_hidden_state[0]
            assert (y[row, : y_lens[row]] - reference).abs().max() <= 1e-4


@pytest.mark.parametrize("stable", [True, False])
def test_equals_torchaudio(stable: bool) -> None:
    torchaudio = pytest.importorskip("torchaudio", reason="comparison with torchaudio needs torchaudio")
    from torchaudio.models.wav2vec2.utils import import_huggingface_model

    transformers = pytest.importorskip(
        "transformers", reason="torchaudio's importer reads a transformers model"
    )
    assert torchaudio and transformers
    ours = our_model(stable=stable)
    hf = hugging_face(ours)
    hf.__class__.__name__ = "Wav2Vec2Model"
    theirs = import_huggingface_model(hf).eval()
    wav = torch.randn(3, 16000) * 0.1
    clean = normalised(wav, 1e-7)
    with torch.no_grad():
        y, y_lens = ours(wav, LENS, AttentionContext.full())
        for row, size in enumerate(LENS.tolist()):
            reference, _ = theirs(clean[row : row + 1, :size])
            assert (y[row, : y_lens[row]] - reference[0]).abs().max() <= 1e-4
