"""``freeze_param``: parts of a model that keep what they know."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.espnet_task.optim import check_frozen


def test_frozen_names_are_of_the_model() -> None:
    model = nn.Module()
    model.encoder = nn.Module()
    model.encoder.xlsr = XlsrEncoder(XlsrConfig.preset("tiny"))
    model.head = nn.Linear(96, 5)
    names = [name for name, _ in model.named_parameters()]
    check_frozen(["head", "head.weight", "encoder.xlsr.encoder.layers.1"], names)
    with pytest.raises(UserError, match=r"freeze_param is 'head'; it must be a list: \[head\]"):
        check_frozen("head", names)
    with pytest.raises(
        UserError, match=r"freeze_param: encoder\.xlsr\.layers\.1 is no part of this model; near it"
    ):
        check_frozen(["head", "encoder.xlsr.layers.1"], names)


def test_what_lies_below_the_first_trained_layer_needs_no_backward() -> None:
    """Freezing changes no gradient of what learns, and all below keeps nothing for a backward pass."""
    torch.manual_seed(0)
    off = dict.fromkeys(("hidden_dropout", "attention_dropout", "feat_proj_dropout"), 0.0)
    config = XlsrConfig.preset("tiny", num_layers=3, mask_time_prob=0.0, layer_drop=0.0, **off)
    encoder = XlsrEncoder(config).double()
    wav = torch.randn(2, 8000, dtype=torch.double)

    def gradients() -> dict[str, torch.Tensor]:
        encoder.zero_grad()
        encoder(wav)[0].square().sum().backward()
        return {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}

    encoder.train()
    every = gradients()
    lower = (
        "feature_",
        "masked_spec_embed",
        "encoder.pos_conv_embed",
        "encoder.layers.0",
        "encoder.layers.1",
    )
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not name.startswith(lower))
    needed = []
    for layer in encoder.encoder.layers:
        layer.register_forward_hook(lambda *given: needed.append(given[2].requires_grad))
    upper = gradients()
    assert needed == [False, False, True]
    assert upper and set(upper) == {name for name in every if not name.startswith(lower)}
    assert max(float((upper[name] - every[name]).abs().max()) for name in upper) < 1e-10
