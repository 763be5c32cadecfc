"""Hugging Face directories in and out: the same tensors, the same numbers, and refusal of everything else."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.encoder.checkpoints.conftest import HF_SMALL, assert_same, randomise, waveform
from xlsrt import AttentionContext, XlsrEncoder
from xlsrt.encoder.checkpoints import load_pretrained, read_config, save_pretrained
from xlsrt.errors import UserError

transformers = pytest.importorskip("transformers", reason="transformers is needed to write its directories")


def hf_model(kind: str = "Wav2Vec2Model", **changes: Any) -> Any:
    config = transformers.Wav2Vec2Config(**{**HF_SMALL, **changes})
    return randomise(getattr(transformers, kind)(config))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    hf_model().save_pretrained(tmp_path / "hf")
    return tmp_path / "hf"


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rewrite(directory: Path, change: Any) -> None:
    """Replace the weights of ``directory`` by what ``change`` makes of them."""
    file = directory / "model.safetensors"
    save_file(change(load_file(file)), file)


@pytest.mark.parametrize("kind", ["Wav2Vec2Model", "Wav2Vec2ForPreTraining", "Wav2Vec2ForCTC"])
def test_there_and_back_is_identical(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = hf_model(kind)
    model.save_pretrained(tmp_path / "theirs")
    with caplog.at_level(logging.INFO, "xlsrt.encoder.checkpoints"):
        encoder = load_pretrained(tmp_path / "theirs")
    assert len(caplog.records) == 1
    heads = {
        "Wav2Vec2ForPreTraining": ("quantizer.*", "project_q.*", "project_hid.*"),
        "Wav2Vec2ForCTC": ("lm_head.*",),
    }
    assert all(head in caplog.text for head in heads.get(kind, ()))
    wanted = getattr(model, "wav2vec2", model).state_dict()
    assert_same(encoder.state_dict(), wanted)

    save_pretrained(encoder, tmp_path / "ours")
    back, report = transformers.Wav2Vec2Model.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_same(back.state_dict(), wanted)
    for name in HF_SMALL.keys() - {
        "num_codevectors_per_group",
        "codevector_dim",
        "proj_codevector_dim",
        "vocab_size",
    }:
        assert getattr(back.config, name) in (
            HF_SMALL[name],
            list(HF_SMALL[name]) if name == "conv_dim" else None,
        ), name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"do_stable_layer_norm": False},
        {"conv_bias": False, "layer_norm_eps": 1e-3},
        {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    ],
)
def test_forward_equals_theirs(changes: dict[str, Any], tmp_path: Path) -> None:
    model = hf_model(**changes)
    model.save_pretrained(tmp_path)
    wav = waveform()
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    normalised = extractor(wav[0].numpy(), sampling_rate=16000, return_tensors="pt").input_values
    encoder = XlsrEncoder.from_pretrained(str(tmp_path), input_norm="utterance")
    with torch.no_grad():
        wanted = model(normalised).last_hidden_state
        found, lens = encoder(wav, torch.tensor([wav.shape[1]]), AttentionContext.full())
    assert found.shape == wanted.shape and lens.tolist() == [wanted.shape[1]]
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() <= 1e-4


def test_config_is_the_checkpoints_with_a_streaming_normalisation(directory: Path) -> None:
    config = read_config(directory)
    assert (config.num_layers, config.num_heads, config.mask_time_prob) == (2, 4, 0.075)
    assert (config.input_norm, config.input_norm_eps) == ("causal", 1e-7)
    assert read_config(directory, input_norm="utterance", layer_drop=0.25).layer_drop == 0.25
    encoder = load_pretrained(directory)
    assert encoder.config == config and encoder.weights_are_pretrained and not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.feature_extractor.parameters())


def test_raw_waveform_models_are_not_normalised(directory: Path) -> None:
    preprocessor = directory / "preprocessor_config.json"
    preprocessor.write_text('{"do_normalize": false, "sampling_rate": 16000}')
    assert read_config(directory).input_norm == "none"
    edit(preprocessor, sampling_rate=8000)
    with pytest.raises(UserError, match="sampling_rate is 8000"):
        read_config(directory)


def test_reading_the_config_opens_no_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    assert read_config(directory).hidden_size == 96
    with pytest.raises(UserError, match=r"none of model.safetensors.*pytorch_model.bin"):
        load_pretrained(directory)


def test_masking_switched_off_is_read_as_zero(directory: Path) -> None:
    edit(directory / "config.json", apply_spec_augment=False)
    assert read_config(directory).mask_time_prob == 0.0


@pytest.mark.parametrize("prefix", ["", "wav2vec2."])
def test_old_weight_norm_names_and_bin_files(prefix: str, directory: Path) -> None:
    wanted = load_file(directory / "model.safetensors")
    old = {"original0": "weight_g", "original1": "weight_v"}
    tensors = {}
    for name, tensor in wanted.items():
        stem, _, tail = name.rpartition(".parametrizations.weight.")
        tensors[prefix + (f"{stem}.{old[tail]}" if stem else name)] = tensor
    assert any(name.endswith("conv.weight_g") for name in tensors)
    (directory / "model.safetensors").unlink()
    torch.save(tensors, directory / "pytorch_model.bin")
    assert_same(load_pretrained(directory).state_dict(), wanted)
    assert_same(load_pretrained(directory / "pytorch_model.bin").state_dict(), wanted)


def test_absent_mask_embedding_keeps_its_initial_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = hf_model(mask_time_prob=0.0)
    model.save_pretrained(tmp_path)
    assert "masked_spec_embed" not in load_file(tmp_path / "model.safetensors")
    with caplog.at_level(logging.INFO, "xlsrt.encoder.checkpoints"):
        found = load_pretrained(tmp_path).state_dict()
    assert "left at its initial value: masked_spec_embed" in caplog.text
    assert found.pop("masked_spec_embed").isfinite().all()
    assert_same(found, model.state_dict())


@pytest.mark.parametrize("stem", ["model.safetensors", "pytorch_model.bin"])
def test_shards(stem: str, directory: Path) -> None:
    wanted = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    name, _, suffix = stem.partition(".")
    weight_map = {}
    for part in (0, 1):
        shard = f"{name}-{part + 1:05d}-of-00002.{suffix}"
        tensors = dict(list(wanted.items())[part::2])
        if suffix == "bin":
            torch.save(tensors, directory / shard)
        else:
            save_file(tensors, directory / shard)
        weight_map.update(dict.fromkeys(tensors, shard))
    index = directory / f"{stem}.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_same(load_pretrained(directory).state_dict(), wanted)

    (directory / shard).unlink()
    with pytest.raises(UserError, match=f"{shard}: no such file"):
        load_pretrained(directory)
    index.write_text(
        json.dumps({"weight_map": {**weight_map, "encoder.layer_norm.bias": "../elsewhere.bin"}})
    )
    with pytest.raises(UserError, match="shards must lie in the same directory"):
        load_pretrained(directory)


def test_missing_renamed_and_misshaped_tensors_are_listed(directory: Path) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors["encoder.layers.1.attention.query.weight"] = tensors.pop(
            "encoder.layers.1.attention.q_proj.weight"
        )
        tensors["encoder.layer_norm.bias"] = torch.zeros(95)
        return tensors

    rewrite(directory, spoil)
    with pytest.raises(UserError) as refusal:
        load_pretrained(directory)
    message = str(refusal.value)
    assert "1 missing: encoder.layers.1.attention.q_proj.weight" in message
    assert "1 unexpected: encoder.layers.1.attention.query.weight" in message
    assert "1 of another shape: encoder.layer_norm.bias (95,) instead of (96,)" in message


def test_unknown_tensors_beside_a_prefixed_encoder_are_refused(tmp_path: Path) -> None:
    hf_model("Wav2Vec2ForCTC").save_pretrained(tmp_path)
    rewrite(tmp_path, lambda tensors: {**tensors, "speaker_gate.weight": torch.zeros(2)})
    with pytest.raises(UserError, match=r"1 unexpected: speaker_gate.weight"):
        load_pretrained(tmp_path)


def test_an_override_that_changes_a_size_is_refused(directory: Path) -> None:
    with pytest.raises(UserError, match=r"unexpected: encoder.layers.1.*no override changes a size"):
        load_pretrained(directory, num_layers=1)
    with pytest.raises(
        UserError, match=r"encoder: unknown key layerdrop \(did you mean layer_drop\?\); known: conv_dim"
    ):
        load_pretrained(directory, layerdrop=0.0)
    with pytest.raises(UserError, match="unknown key preset"):
        read_config(directory, preset="tiny")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, directory: Path) -> None:
    rewrite(directory, lambda tensors: {**tensors, "encoder.layer_norm.bias": torch.full((96,), value)})
    with pytest.raises(UserError, match=r"NaN or infinite values in encoder.layer_norm.bias"):
        load_pretrained(directory)


def test_quantised_weights_are_refused(directory: Path) -> None:
    rewrite(
        directory, lambda tensors: {**tensors, "encoder.layer_norm.bias": torch.ones(96, dtype=torch.int8)}
    )
    with pytest.raises(UserError, match=r"torch.int8; quantised"):
        load_pretrained(directory)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"adapter_attn_dim": 16}, "language adapters inside every layer"),
        ({"add_adapter": True}, "add_adapter is true: convolutions above the encoder"),
        ({"model_type": "wavlm"}, 'model_type is "wavlm"'),
        ({"hidden_act": "relu"}, 'hidden_act is "relu"'),
        ({"conv_kernel": [10, 3, 3, 3, 3, 3, 3]}, "hop of 320 and a window of"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide'; it must be a whole number"),
    ],
)
def test_architectures_that_are_not_ours_are_refused(
    changes: dict[str, Any], reason: str, directory: Path
) -> None:
    edit(directory / "config.json", **changes)
    with pytest.raises(UserError, match=reason) as refusal:
        load_pretrained(directory)
    assert str(directory) in str(refusal.value)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", b"{", "not valid JSON"),
        ("config.json", b"[]", "expected an object"),
        ("model.safetensors", b"", "is empty"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("model.safetensors", b"\0" * 100, "damaged, cut off"),
    ],
)
def test_damaged_files_are_named(file: str, content: bytes, reason: str, directory: Path) -> None:
    (directory / file).write_bytes(content)
    with pytest.raises(UserError, match=reason) as refusal:
        load_pretrained(directory)
    assert file in str(refusal.value)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_cut_off_files_are_named(file: str, directory: Path) -> None:
    path = directory / file
    if file.endswith(".bin"):
        torch.save(load_file(directory / "model.safetensors"), path)
        (directory / "model.safetensors").unlink()
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match=f"{file}.*damaged, cut off"):
        load_pretrained(directory)
