"""torchaudio's models: the same tensors and numbers from its state dicts, and its bundles by name."""

from __future__ import annotations

import io
import logging
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
import torchaudio

from tests.encoder.checkpoints.conftest import assert_same, randomise, waveform
from xlsrt import AttentionContext
from xlsrt.encoder.checkpoints import bundles, load_pretrained, read_config
from xlsrt.errors import UserError


def torchaudio_model(norm: str = "layer_norm", heads: int = 4, aux: int | None = None, **changes: Any) -> Any:
    layers = zip((32,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True)
    options = {
        "extractor_mode": norm,
        "extractor_conv_layer_config": list(layers),
        "extractor_conv_bias": norm == "layer_norm",
        "encoder_embed_dim": 96,
        "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": 128,
        "encoder_pos_conv_groups": 16,
        "encoder_num_layers": 2,
        "encoder_num_heads": heads,
        "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": 384,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0,
        "encoder_layer_norm_first": norm == "layer_norm",
        "encoder_layer_drop": 0.0,
        "aux_num_out": aux,
    }
    return randomise(torchaudio.models.wav2vec2_model(**{**options, **changes}))


def names_of(model: Any) -> dict[str, torch.Tensor]:
    """The model's tensors under our names, by the mapping written out here a second time."""
    named = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith("aux."):
            named[
                name.replace("encoder.feature_projection.", "feature_projection.").replace("transformer.", "")
            ] = tensor
    return named


@pytest.mark.parametrize("norm", ["layer_norm", "group_norm"])
def test_forward_equals_theirs(norm: str, tmp_path: Path) -> None:
    model = torchaudio_model(norm)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    encoder = load_pretrained(tmp_path / "model.pth", num_heads=4, input_norm="utterance")
    assert encoder.config.layer_norm_first == (norm == "layer_norm")
    assert encoder.config.input_norm_eps == 1e-5
    wav = waveform()
    with torch.no_grad():
        wanted, _ = model(torch.nn.functional.layer_norm(wav, wav.shape))
        found, _ = encoder(wav, torch.tensor([wav.shape[1]]), AttentionContext.full())
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() <= 1e-4


@pytest.mark.parametrize("old_norm", [False, True])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_tensors_are_identical(
    old_norm: bool, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = torchaudio_model(aux=5)
    renames = {
        ".parametrizations.weight.original0": ".weight_g",
        ".parametrizations.weight.original1": ".weight_v",
    }
    tensors = {}
    for name, tensor in model.state_dict().items():
        for new, old in renames.items() if old_norm else ():
            name = name.replace(new, old)
        tensors[prefix + name] = tensor
    torch.save(tensors, tmp_path / "model.pth")
    with caplog.at_level(logging.INFO, "xlsrt.encoder.checkpoints"):
        found = load_pretrained(tmp_path / "model.pth", num_heads=4).state_dict()
    del found["masked_spec_embed"]
    assert_same(found, names_of(model))
    assert "aux" in caplog.text and "left at its initial value: masked_spec_embed" in caplog.text


def test_what_shapes_cannot_tell_is_asked_for(tmp_path: Path) -> None:
    torch.save(torchaudio_model().state_dict(), tmp_path / "model.pth")
    with pytest.raises(
        UserError, match=r"num_heads cannot be told .* hidden size 96: give it as an override"
    ):
        load_pretrained(tmp_path / "model.pth")


@pytest.mark.parametrize("name", bundles.BUNDLES)
def test_bundles_are_torchaudios(name: str) -> None:
    bundle = getattr(torchaudio.pipelines, name)
    config = read_config(name)
    assert bundles.BUNDLES[name].file == bundle._path
    theirs = bundle._params
    layers = list(zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True))
    assert layers == [tuple(layer) for layer in theirs["extractor_conv_layer_config"]]
    assert f"{config.feat_extract_norm}_norm" == theirs["extractor_mode"]
    assert (config.input_norm == "causal") == bundle._normalize_waveform
    assert config.input_norm_eps == 1e-5
    for ours, option in {
        "conv_bias": "extractor_conv_bias",
        "hidden_size": "encoder_embed_dim",
        "num_layers": "encoder_num_layers",
        "num_heads": "encoder_num_heads",
        "ffn_size": "encoder_ff_interm_features",
        "pos_conv_kernel": "encoder_pos_conv_kernel",
        "pos_conv_groups": "encoder_pos_conv_groups",
        "layer_norm_first": "encoder_layer_norm_first",
    }.items():
        assert getattr(config, ours) == theirs[option], ours


@pytest.fixture
def small_bundle(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """WAV2VEC2_XLSR53 shrunk to test size; returns the bytes of its file."""
    small = bundles.Bundle("wav2vec2_fairseq_large_xlsr53.pth", {"preset": "tiny"})
    monkeypatch.setitem(bundles.BUNDLES, "WAV2VEC2_XLSR53", small)
    buffer = io.BytesIO()
    torch.save(torchaudio_model().state_dict(), buffer)
    return buffer.getvalue()


class Response(io.BytesIO):
    def __init__(self, content: bytes, length: int) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(length)}


def test_bundle_in_the_cache_needs_no_network(small_bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "torch_home" / "hub" / "checkpoints" / "wav2vec2_fairseq_large_xlsr53.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(small_bundle)
    found = load_pretrained("WAV2VEC2_XLSR53").state_dict()
    assert torch.equal(
        found["encoder.layer_norm.bias"], names_of(torchaudio_model())["encoder.layer_norm.bias"]
    )


def test_bundle_is_fetched_once_into_torch_hubs_cache(
    small_bundle: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(address: str, timeout: float) -> Response:
        asked.append(address)
        return Response(small_bundle, len(small_bundle))

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert_same(
        {**load_pretrained("WAV2VEC2_XLSR53").state_dict(), "masked_spec_embed": torch.zeros(1)},
        {**load_pretrained("WAV2VEC2_XLSR53").state_dict(), "masked_spec_embed": torch.zeros(1)},
    )
    assert asked == ["https://download.pytorch.org/torchaudio/models/wav2vec2_fairseq_large_xlsr53.pth"]
    cache = tmp_path / "torch_home" / "hub" / "checkpoints"
    assert [path.name for path in cache.iterdir()] == ["wav2vec2_fairseq_large_xlsr53.pth"]


def test_broken_transfer_leaves_nothing_behind(
    small_bundle: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda address, timeout: Response(small_bundle[:1000], len(small_bundle))
    )
    with pytest.raises(UserError, match=r"the transfer ended after 1000 of \d+ bytes"):
        load_pretrained("WAV2VEC2_XLSR53")
    assert not list((tmp_path / "torch_home" / "hub" / "checkpoints").iterdir())


def test_without_network_file_and_place_are_named(tmp_path: Path) -> None:
    assert read_config("WAV2VEC2_XLSR_300M").num_layers == 24
    # The config is known without the weights, which are asked for only when an encoder is wanted.
    with pytest.raises(UserError) as refusal:
        bundles.open_bundle("WAV2VEC2_XLSR_300M").read()
    message = str(refusal.value)
    assert "https://download.pytorch.org/torchaudio/models/wav2vec2_xlsr_300m.pth" in message
    assert str(tmp_path / "torch_home" / "hub" / "checkpoints" / "wav2vec2_xlsr_300m.pth") in message
