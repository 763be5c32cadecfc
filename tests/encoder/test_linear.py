"""The product with packed weights against the plain one, and copies that follow the weights."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder.linear import Linear, can_pack

needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this PyTorch has no oneDNN products with packed weights"
)


@pytest.mark.parametrize("shape", [(1, 1), (1, 32), (3, 16), (1, 200), (2, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_equals_the_plain_layer(shape: tuple[int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = Linear(512, 768).to(dtype).eval()
    x = torch.randn(*shape, 512).to(dtype)
    with torch.no_grad():
        y, wanted = layer(x), F.linear(x, layer.weight, layer.bias)
    assert y.shape == (*shape, 768) and y.dtype == dtype
    if y.numel():
        assert wanted.std() > 0.1
        bound = {torch.float32: 1e-5, torch.float64: 0.0, torch.bfloat16: 0.05}[dtype]
        assert (y - wanted).abs().max() <= bound


@needs_packing
def test_the_copy_follows_the_weights() -> None:
    layer = Linear(128, 512).eval()
    x = torch.randn(1, 8, 128)

    def assert_right() -> None:
        assert (layer(x) - F.linear(x, layer.weight, layer.bias)).abs().max() <= 1e-5

    with torch.inference_mode():
        assert_right()
    assert layer._kept is not None
    with torch.no_grad():
        assert_right()  # the copy serves outside of inference mode too
        layer.weight.mul_(-2.0)
        assert_right()
        layer.load_state_dict(Linear(128, 512).state_dict())
        assert_right()
    layer(x).square().mean().backward()
    with torch.no_grad():
        layer.weight -= 0.5 * layer.weight.grad  # type: ignore[operator]
        assert_right()
    with torch.inference_mode():
        layer.weight.add_(1.0)
        assert_right()
    layer.weight.data = torch.randn(512, 128)
    with torch.no_grad():
        assert_right()
    layer.weight.data.mul_(3.0)  # counted by nobody
    layer.eval()
    with torch.no_grad():
        assert_right()


def test_nothing_kept_outlives_training_with_an_optimiser_that_counts_no_versions() -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", hidden_size=192)).eval()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.01, fused=True)
    wav, context = torch.randn(1, 4000), AttentionContext(4, 4, 1)
    for _ in range(2):
        with torch.no_grad():
            before = encoder(wav, None, context)[0]
        encoder.train()
        encoder(wav, None, context)[0].square().mean().backward()
        optimizer.step()
        encoder.eval()
        with torch.no_grad():
            found, fresh = (one(wav, None, context)[0] for one in (encoder, copy.deepcopy(encoder)))
        assert torch.equal(found, fresh)
        assert (found - before).abs().max() > 1e-3


@needs_packing
def test_the_copy_is_neither_copied_nor_saved_and_can_be_switched_off() -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", hidden_size=192)).eval()
    layer = encoder.encoder.layers[0].attention.q_proj  # type: ignore[union-attr]
    wav, context = torch.randn(1, 4000), AttentionContext(4, 4, 1)
    with torch.no_grad():
        y = encoder(wav, None, context)[0]
        assert layer._kept is not None
        twin = copy.deepcopy(encoder)
        assert twin.encoder.layers[0].attention.q_proj._kept is None  # type: ignore[union-attr]
        assert torch.equal(twin(wav, None, context)[0], y)
        assert pickle.loads(pickle.dumps(layer))._kept is None
        encoder.set_packing(False)
        assert layer._kept is None
        plain = encoder(wav, None, context)[0]
        assert layer._kept is None and (plain - y).abs().max() <= 1e-4
        encoder.set_packing(True)
        assert torch.equal(encoder(wav, None, context)[0], y) and layer._kept is not None


def test_gradients_and_autocast_take_the_plain_way() -> None:
    layer = Linear(512, 768).eval()
    x = torch.randn(1, 4, 512, requires_grad=True)
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer._kept is None
