"""What a source may be: our experiments, hub ids from the cache, and refusals that name the way out."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from tests.encoder.checkpoints.conftest import assert_same
from xlsrt import XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import check_source, hub, load_pretrained, read_config, save_pretrained
from xlsrt.errors import UserError


def write_experiment(directory: Path, encoder: XlsrEncoder, **changes: Any) -> Path:
    """An experiment directory as training leaves it: config.yaml and a model's state dict."""
    directory.mkdir()
    state = {f"encoder.xlsr.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state["head.predictor.embedding.weight"] = torch.zeros(10, 4)
    conf = {
        "encoder": "xlsr",
        "encoder_conf": {"config": encoder.config.to_dict()},
        "token_list": ["<blank>"],
    }
    (directory / "config.yaml").write_text(yaml.safe_dump({**conf, **changes}))
    torch.save(state, directory / "valid.loss.best.pth")
    torch.save({"model": state, "optimizers": [{}], "epoch": 3}, directory / "checkpoint.pth")
    return directory / "valid.loss.best.pth"


@pytest.mark.parametrize("name", ["valid.loss.best.pth", "checkpoint.pth"])
def test_experiments(
    name: str, encoder: XlsrEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_experiment(tmp_path / "exp", encoder).with_name(name)
    with caplog.at_level(logging.INFO, "xlsrt.encoder.checkpoints"):
        loaded = load_pretrained(path)
    assert "skipped, not part of the encoder: head.* (1)" in caplog.text
    assert_same(loaded.state_dict(), encoder.state_dict())
    assert loaded.config == encoder.config == read_config(path)
    assert read_config(path, layer_drop=0.5).layer_drop == 0.5


def test_experiments_without_their_config_are_refused(encoder: XlsrEncoder, tmp_path: Path) -> None:
    path = write_experiment(tmp_path / "exp", encoder, encoder_conf={})
    with pytest.raises(UserError, match=r"config.yaml has no encoder_conf.config"):
        load_pretrained(path)
    (tmp_path / "exp" / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config.yaml: cannot be read as YAML"):
        load_pretrained(path)
    (tmp_path / "exp" / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"config.yaml is missing"):
        load_pretrained(path)


def test_an_experiment_of_another_size_is_refused(encoder: XlsrEncoder, tmp_path: Path) -> None:
    other = encoder.config.replace(ffn_size=128).to_dict()
    path = write_experiment(tmp_path / "exp", encoder, encoder_conf={"config": other})
    with pytest.raises(UserError, match=r"intermediate_dense.weight \(384, 96\) instead of \(128, 96\)"):
        load_pretrained(path)


def test_an_experiments_directory_asks_for_the_file(encoder: XlsrEncoder, tmp_path: Path) -> None:
    write_experiment(tmp_path / "exp", encoder)
    with pytest.raises(UserError, match=r"name the checkpoint in it \(checkpoint.pth, valid.loss.best.pth\)"):
        load_pretrained(tmp_path / "exp")


def cache(directory: Path, root: Path, hub_id: str) -> Path:
    """``directory`` laid out as huggingface_hub caches a repository."""
    folder = root / f"models--{hub_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123abc"
    shutil.copytree(directory, snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abc")
    return snapshot


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE"])
def test_hub_ids_come_from_the_cache(
    variable: str, encoder: XlsrEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained(encoder, tmp_path / "export")
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    snapshot = cache(tmp_path / "export", hub.cache_root(), "someone/tiny-xlsr")
    assert snapshot.is_relative_to(tmp_path / "cache")
    assert_same(load_pretrained("someone/tiny-xlsr").state_dict(), encoder.state_dict())
    (snapshot / "model.safetensors").unlink()
    assert hub.cached_directory("someone/tiny-xlsr") is None


def test_the_cache_is_huggingface_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="huggingface_hub is needed to compare with"
    )
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hub.cache_root().as_posix().endswith(".cache/huggingface/hub")
    assert Path(constants.default_cache_path).name == hub.cache_root().name


@pytest.mark.parametrize("offline", ["0", "1"])
def test_hub_ids_without_network_name_files_and_place(
    offline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    with pytest.raises(UserError) as refusal:
        load_pretrained("facebook/wav2vec2-xls-r-300m")
    message = str(refusal.value)
    place = tmp_path / "hf_home" / "hub" / "models--facebook--wav2vec2-xls-r-300m"
    for part in (str(place), "config.json", "model.safetensors", "pytorch_model.bin", "into a directory"):
        assert part in message
    assert ("HF_HUB_OFFLINE is set" in message) == (offline == "1")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "name is empty"),
        ("WAV2VEC2_XLSR35", r"Did you mean WAV2VEC2_XLSR53\?"),
        ("exp/model.pth", "no such file or directory"),
        ("/absent/xlsr.pt", "no such file or directory"),
    ],
)
def test_unknown_sources_are_refused(source: str, reason: str) -> None:
    for read in (load_pretrained, read_config):
        with pytest.raises(UserError, match=reason):
            read(source)


@pytest.mark.parametrize("source", [None, 7, b"model.pt", ["model.pt"]])
def test_what_is_no_name_is_refused(source: Any) -> None:
    for use in (XlsrEncoder.from_pretrained, read_config, check_source):
        with pytest.raises(UserError, match=r"must be a name or a path, not .*give a torchaudio bundle"):
            use(source)


def test_files_and_directories_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no config.json"):
        load_pretrained(tmp_path / "empty")
    torch.save({"args": None}, tmp_path / "empty" / "xlsr.pt")
    with pytest.raises(UserError, match=r"If xlsr.pt is a checkpoint, name the file itself"):
        load_pretrained(tmp_path / "empty")
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    with pytest.raises(UserError, match=r"weights are expected in .safetensors"):
        load_pretrained(tmp_path / "weights.h5")
    for content, reason in (
        ({"epoch": 3}, r"not a state dict: \['epoch'\]"),
        ([torch.ones(2)], "holds a list"),
        ({}, "expected a state dict"),
        ({"weight": torch.ones(2)}, "no config.json beside it"),
    ):
        torch.save(content, tmp_path / "file.pth")
        with pytest.raises(UserError, match=reason):
            load_pretrained(tmp_path / "file.pth")


def test_paths_may_be_text_or_path_and_start_with_a_tilde(
    encoder: XlsrEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained(encoder, tmp_path / "export")
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (
        tmp_path / "export",
        str(tmp_path / "export"),
        "~/export",
        tmp_path / "export" / "model.safetensors",
    ):
        assert read_config(source) == encoder.config
        assert_same(XlsrEncoder.from_pretrained(source).state_dict(), encoder.state_dict())


def test_loading_leaves_the_global_random_state_reproducible(encoder: XlsrEncoder, tmp_path: Path) -> None:
    """What a checkpoint lacks is drawn from torch's generator: seeded, it is the same each time."""
    state = encoder.state_dict()
    del state["masked_spec_embed"]
    torch.save({f"encoder.xlsr.{name}": tensor for name, tensor in state.items()}, tmp_path / "a.pth")
    conf = {"encoder_conf": {"config": XlsrConfig.preset("tiny").to_dict()}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(conf))
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(load_pretrained(tmp_path / "a.pth").masked_spec_embed)
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [
        (["model.safetensors", "pytorch_model.bin", "vocab.json"], ["model.safetensors"]),
        (
            ["model.safetensors.index.json", "pytorch_model.bin"],
            ["model.safetensors.index.json", "model-*.safetensors"],
        ),
        (["pytorch_model.bin", "tf_model.h5"], ["pytorch_model.bin"]),
    ],
)
def test_only_the_files_that_are_read_are_fetched(
    listed: list[str],
    wanted: list[str],
    encoder: XlsrEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub does the fetching")
    save_pretrained(encoder, tmp_path / "export")
    asked: list[Any] = []

    class Api:
        def model_info(self, hub_id: str, timeout: float) -> Any:
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in listed])

    def download(hub_id: str, allow_patterns: list[str]) -> str:
        asked.extend([hub_id, allow_patterns])
        return str(tmp_path / "export")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert_same(load_pretrained("someone/xlsr").state_dict(), encoder.state_dict())
    assert asked == ["someone/xlsr", ["config.json", "preprocessor_config.json", *wanted]]


def test_a_hub_id_without_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub does the fetching")
    info = SimpleNamespace(siblings=[SimpleNamespace(rfilename="README.md")])
    api = SimpleNamespace(model_info=lambda hub_id, timeout: info)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    with pytest.raises(UserError, match=r"it has none of model.safetensors"):
        load_pretrained("someone/nothing")
