"""The computed memory of a training against what autograd keeps, and what the configurations state."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
import yaml

from xlsrt.bin.estimate_memory import main
from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.memory import (
    GB,
    Copies,
    contexts_of,
    encoder_config,
    estimate,
    joint_bytes,
    kept_bytes,
    resting_layers,
)
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
    config = dataclasses.replace(XlsrConfig.preset("tiny"), **PLAIN, **(values | changes))
    encoder = XlsrEncoder(config).train()
    with Kept(encoder) as kept:
        encoder(torch.randn(2, 48000))
    frames = 2 * config.num_frames(48000)
    assert kept_bytes(config, frames, False, recomputing=False) == pytest.approx(kept.bytes, rel=0.12)


LOWER = [
    "feature_projection",
    "masked_spec_embed",
    "encoder.pos_conv_embed",
    "encoder.layers.0",
    "encoder.layers.1",
]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_frozen_layers_keep_nothing(checkpointing: bool) -> None:
    values = {"num_layers": 6, "freeze_feature_extractor": True, "layer_drop": 0.0, "mask_time_prob": 0.0}
    config = dataclasses.replace(XlsrConfig.preset("tiny"), **PLAIN, **values)
    config = dataclasses.replace(config, gradient_checkpointing=checkpointing)
    encoder = XlsrEncoder(config).train()
    names = [f"encoder.xlsr.{name}" for name, _ in encoder.named_parameters()]
    lower = tuple(f"encoder.xlsr.{name}" for name in LOWER)
    learning = [name for name in names if "feature_extractor" not in name and not name.startswith(lower)]
    assert resting_layers(config, learning) == 2
    assert resting_layers(config, [*learning, "encoder.xlsr.masked_spec_embed"]) == 0
    assert resting_layers(config, []) == 6
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(f"encoder.xlsr.{name}" in learning)
    with Kept(encoder) as kept:
        encoder(torch.randn(2, 48000))
    frames = 2 * config.num_frames(48000)
    computed = kept_bytes(config, frames, False, recomputing=False, resting=2)
    assert computed == pytest.approx(kept.bytes, rel=0.12)


def test_what_is_frozen_needs_no_gradients() -> None:
    settings, config = settings_of("train_xls_r_300m_24gb.yaml"), XlsrConfig.preset("xls_r_300m")
    all_of_it, part = (
        estimate({**settings, "freeze_param": frozen}, config)
        for frozen in ([], [f"encoder.xlsr.{name}" for name in LOWER])
    )
    assert part.parameters == all_of_it.parameters
    assert all_of_it.trained - part.trained > 2 * 12e6 and part.gradients < all_of_it.gradients
    assert part.weights == all_of_it.weights and part.activations < all_of_it.activations


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("context", [AttentionContext(8, 16, 4), AttentionContext(16, 8, 16)], ids=str)
def test_chunks_keep_their_keys_as_is_computed(context: AttentionContext, checkpointing: bool) -> None:
    values = {"num_layers": 6, "freeze_feature_extractor": True, "layer_drop": 0.0, "mask_time_prob": 0.0}
    config = dataclasses.replace(XlsrConfig.preset("tiny"), **PLAIN, **values)
    config = dataclasses.replace(config, gradient_checkpointing=checkpointing)
    encoder, frames = XlsrEncoder(config).train(), config.num_frames(48000)
    with Kept(encoder) as kept:
        encoder(torch.randn(2, 48000), None, context)
    copies = Copies.of(context, config, frames)
    assert copies.keys > 2
    computed = kept_bytes(config, 2 * frames, False, recomputing=False, copies=copies)
    assert computed == pytest.approx(kept.bytes, rel=0.12)


def test_contexts_and_what_they_copy() -> None:
    config = XlsrConfig.preset("xls_r_300m")  # 128 taps
    assert contexts_of(None) == contexts_of({}) == [AttentionContext.full()]
    assert contexts_of({"chunk_ms": 320, "left_ms": 320}) == [AttentionContext(16, 16, 0)]
    sampled = contexts_of({"chunk_frames": [16, 64], "left": [64, "2x", "all"], "full_prob": 0.5})
    assert [(context.chunk_frames, context.left_frames) for context in sampled] == [
        *((16, left) for left in (64, 32, None)),
        *((64, left) for left in (64, 128, None)),
    ]
    assert Copies.of(AttentionContext(16, 64, 16), config, 960) == Copies(96 / 16, (64 + 16 + 15) / 16)
    assert Copies.of(AttentionContext(16, 64, 16), config, 160).keys == 1.0, "a plain mask is cheaper"
    assert Copies.of(AttentionContext(16, None, 0), config, 960).keys == 1.0
    assert Copies.of(AttentionContext(16, 0, 0), config, 16) == Copies()


def test_the_context_of_the_training_and_espnets_default_count() -> None:
    settings, config = settings_of("train_xls_r_300m_24gb.yaml"), XlsrConfig.preset("xls_r_300m")
    encoder = {**settings["encoder_conf"], "train_context": {"chunk_frames": 16, "left": [64, 0]}}
    plain, chunked = estimate(settings, config), estimate({**settings, "encoder_conf": encoder}, config)
    encoder["train_context"] = {"chunk_frames": 16, "left_frames": 64}
    dearest = estimate({**settings, "encoder_conf": encoder}, config)
    assert chunked.activations == dearest.activations > plain.activations
    # Gradients of several ranks lie in DDP's buckets unless ESPnet is told otherwise.
    apart = estimate({**settings, "gradient_as_bucket_view": False}, config, ranks=2)
    assert estimate(settings, config, ranks=2).gradients == plain.gradients == apart.gradients / 2


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
    dearest = re.search(r"encoder_conf: ([\d.]+) GB", text)
    found = dearest_stage(name, command[1].split())
    # A GPU of 24 GB has 25.8e9 bytes.
    assert dearest and f"{found / GB:.1f}" == dearest[1] and float(dearest[1]) < int(size[1])


def dearest_stage(name: str, words: list[str]) -> float:
    """The peak of stage 4 with a configuration."""
    settings = settings_of(name)
    config = encoder_config(settings, words[words.index("--preset") + 1])
    ranks = int(words[words.index("--ranks") + 1]) if "--ranks" in words else 1
    encoder = {**settings["encoder_conf"], "train_context": stage_contexts()[4]}
    return estimate({**settings, "encoder_conf": encoder}, config, ranks=ranks).total


def stage_contexts() -> dict[object, dict[str, object]]:
    """The training context of each variant of the recipe's stages; none for full attention."""
    stages = yaml.safe_load((ROOT / "conf" / "stages.yaml").read_text(encoding="utf-8"))["stages"]
    variants = {name: values for stage in stages.values() for name, values in stage["variants"].items()}
    return {n: {} if v["train"] == "full" else v["train"] for n, v in variants.items()}


def test_no_stage_keeps_more_than_the_fourth() -> None:
    config, kept = XlsrConfig.preset("xls_r_300m"), {}
    for name, train in stage_contexts().items():
        copies = [Copies.of(context, config, 1000) for context in contexts_of(train)]
        kept[name] = max(kept_bytes(config, 6000, True, copies=found) for found in copies)
    assert kept[4] == max(kept.values()) > kept[1]


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


def test_a_batch_in_multiples_may_hold_that_many_more() -> None:
    settings = settings_of("train_small.yaml") | {"batch_bins": 400000, "batch_multiple": 1}
    config = XlsrConfig.preset("small")
    alone = estimate(settings, config, utterance_seconds=5.0)
    # 25 s and four utterances of 5 s; of those of 10 s two, which stay two.
    more = estimate({**settings, "batch_multiple": 4}, config, utterance_seconds=5.0)
    assert more.activations == pytest.approx(1.8 * alone.activations, rel=0.01)
    long = estimate({**settings, "batch_multiple": 4}, config, utterance_seconds=10.0)
    assert long.activations == estimate(settings, config, utterance_seconds=10.0).activations
