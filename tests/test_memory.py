"""The computed memory of a training against what autograd keeps, and what the configurations state."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
import yaml

from xlsrt.bin.estimate_memory import main
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.memory import GB, estimate, joint_bytes, kept_bytes
from xlsrt.transducer import HeadConfig, TransducerHead

ROOT = Path(__file__).resolve().parents[1]
LARGE = sorted(path.name for path in (ROOT / "conf").glob("train_*gb.yaml"))
# CPU's dropout keeps more than CUDA's, so there is none here.
PLAIN = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)


class Kept:
    """Counts the storages, parameters apart, that autograd keeps within the block."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.seen = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        self.tensors: list[torch.Tensor] = []
        self.bytes = 0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            # Kept alive, so that no other tensor gets its place.
            self.tensors.append(tensor)
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> Kept:
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.pack, lambda tensor: tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.hooks.__exit__(None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_layers": 12, "ffn_size": 200},
        {"gradient_checkpointing": True},
        {"freeze_feature_extractor": False},
    ],
)
def test_the_encoder_keeps_what_is_computed(changes: dict[str, object]) -> None:
    values = {"num_layers": 6, "freeze_feature_extractor": True, "layer_drop": 0.0, "mask_time_prob": 0.0}
    config = dataclasses.replace(XlsrConfig.preset("tiny"), **PLAIN, **(values | changes))  # type: ignore[arg-type]
    encoder = XlsrEncoder(config).train()
    with Kept(encoder) as kept:
        encoder(torch.randn(2, 48000))
    frames = 2 * config.num_frames(48000)
    assert kept_bytes(config, frames, False, recomputing=False) == pytest.approx(kept.bytes, rel=0.12)


def test_the_joint_keeps_what_is_computed() -> None:
    config = HeadConfig(encoder_size=32, vocab_size=60, joint_size=64, ctc_weight=0.3, output_subsampling=2)
    head, lens = TransducerHead(config).train(), torch.tensor([200, 200])
    with Kept(head) as kept:
        head.losses(torch.randn(2, 200, 32), lens, torch.ones(2, 16).long(), torch.tensor([16, 16]))
    # 16 tokens in 4 seconds.
    computed = joint_bytes(config, 400, 4.0, 4.0, half=False, kept_only=True)
    assert computed == pytest.approx(kept.bytes, rel=0.12)


def settings_of(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "conf" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LARGE)
def test_a_configuration_states_what_it_needs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first comment of each: the command and the figure that it prints, below the memory of its name."""
    text = (ROOT / "conf" / name).read_text(encoding="utf-8")
    command = re.search(r"python -m xlsrt\.bin\.estimate_memory (.*)", text)
    stated = re.search(r"([\d.]+) GB \(computed, not measured\)", text)
    assert command and stated
    main([word.replace("conf/", f"{ROOT}/conf/") for word in command[1].split()])
    printed = re.search(r"peak of one GPU.* ([\d.]+) GB", capsys.readouterr().out)
    assert printed and printed[1] == stated[1]
    size = re.search(r"(\d+)gb", name)
    assert size and float(stated[1]) < 0.92 * int(size[1])


def test_sharding_and_precision_lower_the_peak() -> None:
    settings = settings_of("train_xls_r_2b_8x80gb.yaml")
    config = XlsrConfig.preset("xls_r_2b")
    eight = estimate(settings, config, ranks=8)
    assert eight.parameters > 2e9
    assert estimate({**settings, "sharded": False}, config, ranks=8).total > eight.total + 20 * GB
    assert estimate({**settings, "use_amp": False}, config, ranks=8).activations > eight.activations
    longer = estimate(settings, config, ranks=8, utterance_seconds=40.0)
    assert longer.joint > 1.5 * eight.joint and longer.activations == eight.activations


def test_batches_of_unknown_size_are_refused() -> None:
    settings = settings_of("train_tiny.yaml")
    for wrong in (
        {**settings, "batch_type": "sorted"},
        {k: v for k, v in settings.items() if k != "batch_bins"},
    ):
        with pytest.raises(UserError, match="batches of a known size are needed"):
            estimate(wrong, XlsrConfig.preset("tiny"))
