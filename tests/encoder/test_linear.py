"""The product for few rows against the plain one."""

from __future__ import annotations

import pytest
import torch

from xlsrt.encoder.linear import FEW_ROWS, linear


@pytest.mark.parametrize("shape", [(1, 1), (1, 32), (3, 16), (1, FEW_ROWS + 1), (2, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_layer(shape: tuple[int, int], dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(512, 768).to(dtype)
    x = torch.randn(*shape, 512, dtype=dtype)
    with torch.no_grad():
        y = linear(layer, x)
        assert y.shape == (*shape, 768) and y.dtype == dtype
        if y.numel():
            assert (y - layer(x)).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-13)
            assert y.view(-1, 768).shape[0] == shape[0] * shape[1] if shape[0] == 1 else True


def test_gradients_take_the_plain_way() -> None:
    layer = torch.nn.Linear(512, 768)
    x = torch.randn(1, 4, 512, requires_grad=True)
    assert torch.equal(linear(layer, x), layer(x))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(layer, x).dtype == torch.bfloat16
