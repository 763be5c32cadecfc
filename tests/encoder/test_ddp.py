"""DistributedDataParallel waits for a gradient of every parameter: layer drop and freezing must give one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("save_memory", [False, True])
def test_layer_drop_and_freezing_under_ddp(save_memory: bool) -> None:
    torch.manual_seed(0)
    small = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64, "pos_conv_kernel": 16}
    config = XlsrConfig.preset("tiny", **small, layer_drop=0.5, num_layers=4, freeze_encoder_updates=2)
    encoder = XlsrEncoder(config.replace(gradient_checkpointing=save_memory)).train()
    encoder.weights_are_pretrained = True  # the feature extractor is frozen before DDP looks
    model = DistributedDataParallel(encoder)
    wav = torch.randn(2, 8000)
    for updates in range(6):
        encoder.set_num_updates(updates)
        context = AttentionContext(8, 8, 2) if updates % 2 else AttentionContext.full()
        model(wav, torch.tensor([8000, 5000]), context)[0].square().mean().backward()
        grads = [p.grad for p in encoder.parameters() if p.requires_grad]
        assert all(grad is not None for grad in grads)
        assert any(bool(grad.any()) for grad in grads) is (updates >= 2)  # type: ignore[union-attr]
        model.zero_grad()
