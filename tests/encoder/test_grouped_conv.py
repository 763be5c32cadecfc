"""The position convolution's own gradients, against PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from xlsrt.encoder.grouped_conv import grouped_conv1d


def _both(x, weight, bias, groups, upstream):
    results = []
    for convolve in (grouped_conv1d, F.conv1d):
        leaves = [leaf.detach().clone().requires_grad_() for leaf in (x, weight, bias)]
        y = convolve(*leaves, groups=groups)
        y.backward(upstream)
        results.append([y, *(leaf.grad for leaf in leaves)])
    return zip(*results, strict=True)


@settings(max_examples=60)
@given(
    batch=st.integers(1, 4),
    groups=st.integers(1, 4),
    width=st.sampled_from([1, 3, 16, 64, 200]),
    taps=st.integers(1, 40),
    frames=st.integers(1, 90),
    seed=st.integers(0, 1000),
)
def test_output_and_gradients_in_float64(batch, groups, width, taps, frames, seed):
    draw = torch.Generator().manual_seed(seed)
    x, weight, bias, upstream = (
        torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape in (
            (batch, groups * width, frames + taps - 1),
            (groups * width, width, taps),
            (groups * width,),
            (batch, groups * width, frames),
        )
    )
    for ours, theirs in _both(x, weight, bias, groups, upstream):
        assert (ours - theirs).abs().max() <= 1e-11 * max(1.0, theirs.abs().max().item())


def test_under_autocast_as_exact_as_pytorchs_own():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 64, 226), torch.randn(64, 16, 128), torch.randn(64)
    upstream = torch.randn(2, 64, 99)
    exact = [ours for ours, _ in _both(*(t.double() for t in (x, weight, bias)), 4, upstream.double())]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pairs = list(_both(x, weight, bias, 4, upstream.bfloat16()))
    for true, (ours, theirs) in zip(exact, pairs, strict=True):
        assert ours.dtype == theirs.dtype
        scale = true.abs().max()
        assert (ours - true).abs().max() / scale <= max(
            0.005, 1.5 * ((theirs - true).abs().max() / scale).item()
        )


@pytest.mark.parametrize("frozen", ["x", "weight"])
def test_nothing_is_computed_for_what_is_frozen(frozen):
    x, weight = torch.randn(1, 8, 20), torch.randn(8, 4, 5)
    for name, leaf in (("x", x), ("weight", weight)):
        leaf.requires_grad_(name != frozen)
    grouped_conv1d(x, weight, None, groups=2).sum().backward()
    assert (x.grad is None, weight.grad is None) == (frozen == "x", frozen == "weight")
