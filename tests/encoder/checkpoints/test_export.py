"""Our own exports: nothing is lost on the way out and back, in any dtype, and others can read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from tests.encoder.checkpoints.conftest import assert_same, waveform
from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import export, load_pretrained, read_config, save_pretrained
from xlsrt.errors import UserError

CONTEXT = AttentionContext(chunk_frames=8, left_frames=8, sink_frames=2)


def test_config_and_weights_come_back_whole(encoder: XlsrEncoder, tmp_path: Path) -> None:
    changes = {
        "input_norm": "utterance",
        "input_norm_eps": 1e-5,
        "causal_prior_samples": 123,
        "freeze_feature_extractor": False,
        "mask_channel_prob": 0.25,
        "max_stream_seconds": 77.0,
    }
    changed = XlsrEncoder(encoder.config.replace(**changes))
    changed.load_state_dict(encoder.state_dict())
    assert save_pretrained(changed, tmp_path / "a" / "b") == tmp_path / "a" / "b"
    loaded = load_pretrained(tmp_path / "a" / "b")
    assert loaded.config == changed.config == read_config(tmp_path / "a" / "b")
    assert_same(loaded.state_dict(), encoder.state_dict())
    assert loaded.weights_are_pretrained
    assert load_pretrained(tmp_path / "a" / "b", input_norm="causal").config.input_norm == "causal"


def test_the_method_writes_the_same(encoder: XlsrEncoder, tmp_path: Path) -> None:
    made = encoder.save_pretrained(tmp_path / "export", dtype="float16", heard="noise")
    save_pretrained(encoder, tmp_path / "other", torch.float16, {"heard": "noise"})
    for name in ("config.json", "model.safetensors"):
        assert (made / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_others_can_read_what_the_umask_lets_them(encoder: XlsrEncoder, tmp_path: Path) -> None:
    folder = save_pretrained(encoder, tmp_path / "a")
    mine = tmp_path / "mine"
    mine.touch()
    assert {path.stat().st_mode for path in folder.iterdir()} == {mine.stat().st_mode}


def test_masking_off_keeps_the_mask_embedding(encoder: XlsrEncoder, tmp_path: Path) -> None:
    assert encoder.config.mask_time_prob == encoder.config.mask_channel_prob == 0
    save_pretrained(encoder, tmp_path)
    assert read_config(tmp_path) == encoder.config
    transformers = pytest.importorskip(
        "transformers", reason="transformers is needed to load exports with it"
    )
    model, report = transformers.Wav2Vec2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert torch.equal(model.masked_spec_embed, encoder.masked_spec_embed)
    assert not model.config.apply_spec_augment


def test_huggingface_computes_what_we_do(encoder: XlsrEncoder, tmp_path: Path) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is needed to load exports with it"
    )
    save_pretrained(encoder, tmp_path)
    model = transformers.Wav2Vec2Model.from_pretrained(tmp_path).eval()
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    wav = waveform()
    inputs = extractor(wav[0].numpy(), sampling_rate=16000, return_tensors="pt").input_values
    ours = load_pretrained(tmp_path, input_norm="utterance")
    with torch.no_grad():
        found, _ = ours(wav, torch.tensor([wav.shape[1]]), AttentionContext.full())
        wanted = model(inputs).last_hidden_state
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() <= 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, "bfloat16"])
def test_half_precision_files_load_into_float32(
    encoder: XlsrEncoder, dtype: torch.dtype | str, tmp_path: Path
) -> None:
    save_pretrained(encoder, tmp_path / "full")
    save_pretrained(encoder, tmp_path / "half", dtype=dtype)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    kind = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    loaded = load_pretrained(tmp_path / "half")
    assert_same(loaded.state_dict(), {name: t.to(kind).float() for name, t in encoder.state_dict().items()})
    with torch.no_grad():
        wav = waveform()
        lens = torch.tensor([wav.shape[1]])
        wanted, found = encoder(wav, lens, CONTEXT)[0], loaded(wav, lens, CONTEXT)[0]
    difference = (found - wanted).abs().max() / wanted.abs().max()
    assert 0 < difference < (0.01 if kind == torch.float16 else 0.1)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == str(
        kind
    ).removeprefix("torch.")


def test_values_that_do_not_fit_the_dtype_are_refused(encoder: XlsrEncoder, tmp_path: Path) -> None:
    with torch.no_grad():
        encoder.encoder.layer_norm.weight[3] = 1e5
    with pytest.raises(UserError, match=r"encoder.layer_norm.weight .* not finite as torch.float16"):
        save_pretrained(encoder, tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()
    save_pretrained(encoder, tmp_path / "out")
    with pytest.raises(UserError, match="dtype int8 cannot be exported: choose one of float32"):
        save_pretrained(encoder, tmp_path / "out", dtype="int8")


def test_an_export_is_a_copy_and_replaces_an_older_one(encoder: XlsrEncoder, tmp_path: Path) -> None:
    save_pretrained(encoder, tmp_path, extra_metadata={"languages": ["de", "tr"], "updates": 100})
    before = load_file(tmp_path / "model.safetensors")
    with torch.no_grad():
        encoder.encoder.layer_norm.bias += 1
    assert_same(load_pretrained(tmp_path).state_dict(), before)
    save_pretrained(encoder, tmp_path, extra_metadata={"updates": 200})
    assert_same(load_pretrained(tmp_path).state_dict(), encoder.state_dict())
    assert json.loads((tmp_path / "config.json").read_text())["xlsrt"]["metadata"] == {"updates": 200}
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_an_unwritable_place_and_bad_metadata_are_refused(encoder: XlsrEncoder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write an export to"):
        save_pretrained(encoder, tmp_path / "file")
    with pytest.raises(UserError, match="extra_metadata must be what JSON can hold"):
        save_pretrained(encoder, tmp_path / "out", extra_metadata={"x": object()})
    assert not (tmp_path / "out" / "config.json").exists()


class Endless(dict):
    """A mapping inside itself."""

    def __init__(self) -> None:
        super().__init__(more=self)


@pytest.mark.parametrize(
    "bad", [object(), Endless(), "\ud800", {(1, 2): 3}], ids=lambda bad: type(bad).__name__
)
def test_a_failing_export_leaves_the_one_that_was_there(
    bad: object, encoder: XlsrEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.save_pretrained(tmp_path, heard="speech")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.no_grad():
        encoder.encoder.layer_norm.bias += 1
    with pytest.raises(UserError, match="extra_metadata must be what JSON can hold"):
        encoder.save_pretrained(tmp_path, foo=bad)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(export, "save_file", full)
    with pytest.raises(UserError, match=r"cannot write an export to .*No space left"):
        encoder.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_exports_of_another_format_are_refused(encoder: XlsrEncoder, tmp_path: Path) -> None:
    save_pretrained(encoder, tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    content["xlsrt"]["format"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is of format 2, this version reads format 1"):
        read_config(tmp_path)
    del content["xlsrt"]["config"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='"xlsrt" has no "config"'):
        read_config(tmp_path)


def test_every_preset_has_a_huggingface_config() -> None:
    """All fields that Hugging Face knows survive the way through its config.json, for every size."""
    from xlsrt.encoder.checkpoints.hf import FIELDS, config_content, config_fields
    from xlsrt.encoder.config import PRESETS

    for name in PRESETS:
        config = XlsrConfig.preset(name, mask_time_prob=0.1)
        content = config_content(config, {})
        del content["xlsrt"]
        fields = config_fields(content, Path("nowhere"))
        assert {ours: fields[ours] for ours, _, _ in FIELDS} == {
            ours: config.to_dict()[ours] for ours, _, _ in FIELDS
        }
