"""fairseq's files, written in its format: options pickled as it does, weights under its names, both file
formats.
"""

from __future__ import annotations

import argparse
import enum
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.encoder.checkpoints.conftest import assert_same, waveform
from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import load_pretrained, read_config
from xlsrt.encoder.checkpoints.fairseq import parse_layers
from xlsrt.errors import UserError

OPTIONS: dict[str, Any] = {
    "extractor_mode": "layer_norm",
    "encoder_layers": 2,
    "encoder_embed_dim": 96,
    "encoder_ffn_embed_dim": 384,
    "encoder_attention_heads": 4,
    "activation_fn": "gelu",
    "layer_norm_first": True,
    "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] * 2",
    "conv_bias": True,
    "mask_prob": 0.65,
}
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])


def fairseq_names(encoder: XlsrEncoder) -> dict[str, torch.Tensor]:
    """The encoder's tensors under fairseq's names, with what pretraining has besides."""
    layer_norms = encoder.config.feat_extract_norm == "layer"
    tensors = {"quantizer.vars": torch.zeros(1, 8, 4), "project_q.weight": torch.zeros(3, 3)}
    tensors.update({"final_proj.weight": torch.zeros(3, 96), "final_proj.bias": torch.zeros(3)})
    renames = [
        (".layer_norm.", ".2.1." if layer_norms else ".2.", "feature_extractor."),
        (".conv.", ".0.", "feature_extractor."),
        ("feature_projection.projection", "post_extract_proj", ""),
        ("feature_projection.layer_norm", "layer_norm", ""),
        ("masked_spec_embed", "mask_emb", ""),
        ("pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g", ""),
        ("pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v", ""),
        ("pos_conv_embed.conv", "pos_conv.0", ""),
        (".layer_norm", ".self_attn_layer_norm", "encoder.layers."),
        (".attention.", ".self_attn.", ""),
        ("feed_forward.intermediate_dense", "fc1", ""),
        ("feed_forward.output_dense", "fc2", ""),
    ]
    for name, tensor in encoder.state_dict().items():
        for ours, theirs, start in renames:
            if name.startswith(start):
                name = name.replace(ours, theirs)
        tensors[name] = tensor
    return tensors


def write(path: Path, model: dict[str, Any], zipped: bool = True, **beside: Any) -> Path:
    content = {"args": None, "cfg": None, "model": model, "optimizer_history": [{"num_updates": 7}], **beside}
    content["last_optimizer_state"] = {"state": {0: {"exp_avg": torch.ones(4)}}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@contextmanager
def module_for_pickling(name: str, **members: Any) -> Iterator[None]:
    """``name`` can be imported inside, and cannot any more after: as on a machine without fairseq."""
    module = types.ModuleType(name)
    for member, value in members.items():
        value.__module__, value.__qualname__ = name, member
        setattr(module, member, value)
    parents = [name.rpartition(".")[0]] if "." in name else []
    for parent in parents:
        sys.modules[parent] = types.ModuleType(parent)
    sys.modules[name] = module
    try:
        yield
    finally:
        for imported in (name, *parents):
            del sys.modules[imported]


class Choices(enum.Enum):
    static = "static"


class Task:
    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)


@FORMATS
def test_namespace_of_args(zipped: bool, encoder: XlsrEncoder, tmp_path: Path) -> None:
    args = argparse.Namespace(arch="wav2vec2", normalize=True, data="/data", **OPTIONS)
    path = write(tmp_path / "xlsr.pt", fairseq_names(encoder), zipped, args=args)
    loaded = load_pretrained(path)
    assert_same(loaded.state_dict(), encoder.state_dict())
    assert (loaded.config.num_heads, loaded.config.layer_norm_first) == (4, True)
    assert (loaded.config.input_norm, loaded.config.input_norm_eps) == ("causal", 1e-5)
    assert (
        loaded.config.mask_time_prob == XlsrConfig().mask_time_prob
    )  # pretraining's 0.65 is no choice for training
    with torch.no_grad():
        wav = waveform()
        wanted, _ = encoder(wav, torch.tensor([wav.shape[1]]), AttentionContext(16, 16))
        same = load_pretrained(path, input_norm_eps=encoder.config.input_norm_eps)
        assert torch.equal(same(wav, torch.tensor([wav.shape[1]]), AttentionContext(16, 16))[0], wanted)


@FORMATS
@pytest.mark.parametrize("finetuned", [False, True])
def test_classes_of_fairseq_that_are_not_installed(
    zipped: bool, finetuned: bool, encoder: XlsrEncoder, tmp_path: Path
) -> None:
    with module_for_pickling("fairseq.dataclass", Choices=Choices, Task=Task):
        model = Task(**OPTIONS, mask_selection=Choices.static)
        cfg: dict[str, Any] = {"model": model, "task": Task(normalize=True, labels={Choices.static: 1})}
        names = fairseq_names(encoder)
        if finetuned:
            cfg = {"model": Task(_name="wav2vec_ctc", w2v_args=cfg, layer_norm_first=False), "task": None}
            names = {f"w2v_encoder.w2v_model.{name}": tensor for name, tensor in names.items()}
            names["w2v_encoder.proj.weight"] = torch.zeros(30, 96)
        path = write(tmp_path / "xlsr.pt", names, zipped, cfg=cfg)
    assert "fairseq" not in sys.modules
    assert_same(load_pretrained(path).state_dict(), encoder.state_dict())
    assert read_config(path).num_heads == 4
    assert "fairseq" not in sys.modules and "fairseq.dataclass" not in sys.modules


@FORMATS
def test_omegaconf_containers(zipped: bool, encoder: XlsrEncoder, tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf is needed to write its containers")
    cfg = omegaconf.OmegaConf.create(
        {"model": OPTIONS, "task": {"normalize": False, "list": [1, {"a": None}]}}
    )
    path = write(tmp_path / "xlsr.pt", fairseq_names(encoder), zipped, cfg=cfg)
    assert_same(load_pretrained(path).state_dict(), encoder.state_dict())
    assert (read_config(path).num_heads, read_config(path).input_norm) == (4, "none")


def test_group_norm_post_norm_base_model(tmp_path: Path) -> None:
    config = XlsrConfig.preset("tiny", feat_extract_norm="group", layer_norm_first=False, conv_bias=False)
    encoder = XlsrEncoder(config)
    args = argparse.Namespace(**{**OPTIONS, "extractor_mode": "default", "layer_norm_first": False})
    loaded = load_pretrained(write(tmp_path / "base.pt", fairseq_names(encoder), args=args))
    assert_same(loaded.state_dict(), encoder.state_dict())
    found = (loaded.config.feat_extract_norm, loaded.config.layer_norm_first, loaded.config.conv_bias)
    assert found == ("group", False, False) and loaded.config.input_norm == "none"


def test_without_options_shapes_and_overrides_tell(encoder: XlsrEncoder, tmp_path: Path) -> None:
    path = write(tmp_path / "xlsr.pt", fairseq_names(encoder))
    with pytest.raises(UserError, match="num_heads cannot be told"):
        load_pretrained(path)
    assert_same(load_pretrained(path, num_heads=4).state_dict(), encoder.state_dict())


@FORMATS
@pytest.mark.parametrize("inside", [True, False], ids=["under model", "bare"])
def test_files_stripped_of_all_else_are_told_by_their_names(
    inside: bool, zipped: bool, encoder: XlsrEncoder, tmp_path: Path
) -> None:
    names, path = fairseq_names(encoder), tmp_path / "stripped.pt"
    torch.save({"model": names} if inside else names, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"num_heads cannot be told.*give it as an override"):
        load_pretrained(path)
    loaded = load_pretrained(path, num_heads=4)
    assert_same(loaded.state_dict(), encoder.state_dict())
    assert (loaded.config.layer_norm_first, loaded.config.input_norm_eps) == (True, 1e-5)
    torch.save({"model": {1: torch.ones(2)}}, path)
    with pytest.raises(UserError, match="not a state dict"):
        load_pretrained(path)


def test_reading_the_config_reads_no_tensor(
    encoder: XlsrEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xlsrt.encoder.checkpoints import unpickle

    path = write(tmp_path / "xlsr.pt", fairseq_names(encoder), args=argparse.Namespace(**OPTIONS))
    monkeypatch.setattr(unpickle.LazyTensor, "load", lambda self: pytest.fail("a tensor was read"))
    assert read_config(path).hidden_size == 96


def test_missing_and_unknown_tensors_are_listed_by_their_names(encoder: XlsrEncoder, tmp_path: Path) -> None:
    names = fairseq_names(encoder)
    names["encoder.layers.1.self_attn.q_proj_new.weight"] = names.pop(
        "encoder.layers.1.self_attn.q_proj.weight"
    )
    path = write(tmp_path / "xlsr.pt", names, args=argparse.Namespace(**OPTIONS))
    with pytest.raises(UserError) as refusal:
        load_pretrained(path)
    assert "1 missing: encoder.layers.1.attention.q_proj.weight" in str(refusal.value)
    assert "1 unexpected: encoder.layers.1.self_attn.q_proj_new.weight" in str(refusal.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("activation_fn", "relu"), ("layer_type", "conformer"), ("pos_conv_depth", 5), ("quantize_input", True)],
)
def test_other_architectures_are_refused(
    option: str, value: Any, encoder: XlsrEncoder, tmp_path: Path
) -> None:
    args = argparse.Namespace(**{**OPTIONS, option: value})
    path = write(tmp_path / "xlsr.pt", fairseq_names(encoder), args=args)
    with pytest.raises(UserError, match=f"trained with {option}={value!r}"):
        load_pretrained(path)


def test_a_file_without_its_last_layer_is_no_smaller_model(encoder: XlsrEncoder, tmp_path: Path) -> None:
    names = {
        name: x for name, x in fairseq_names(encoder).items() if not name.startswith("encoder.layers.1.")
    }
    path = write(tmp_path / "xlsr.pt", names, args=argparse.Namespace(**OPTIONS))
    with pytest.raises(UserError, match=r"16 missing: encoder\.layers\.1\.attention"):
        load_pretrained(path)


def test_what_quantises_the_input_is_not_skipped(encoder: XlsrEncoder, tmp_path: Path) -> None:
    names = {**fairseq_names(encoder), "project_inp.weight": torch.zeros(96, 3)}
    with pytest.raises(UserError, match=r"1 unexpected: project_inp\.weight"):
        load_pretrained(write(tmp_path / "xlsr.pt", names), num_heads=4)


def test_layer_lists_are_parsed_not_evaluated(tmp_path: Path) -> None:
    layers = parse_layers(OPTIONS["conv_feature_layers"], tmp_path)
    assert layers == [(32, 10, 5), *[(32, 3, 2)] * 4, *[(32, 2, 2)] * 2]
    marker = tmp_path / "run"
    for text in (
        f"[(open({str(marker)!r}, 'w').close() or 1, 1, 1)]",
        "[(1, 2, 3)] * 100000000",
        "[(1, 2)]",
        "[" * 3000,
        "7",
    ):
        with pytest.raises(UserError, match="conv_feature_layers is not a list"):
            parse_layers(text, tmp_path)
    assert not marker.exists()
