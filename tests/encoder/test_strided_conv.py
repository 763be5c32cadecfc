"""Convolutions as products of matrices, against PyTorch's."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from xlsrt.encoder.strided_conv import strided_conv1d


@settings(max_examples=80)
@given(
    batch=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 5]),
    size=st.integers(1, 6),
    taps=st.integers(1, 10),
    stride=st.integers(1, 5),
    more=st.integers(0, 60),
    with_bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_in_float64(batch, channels, size, taps, stride, more, with_bias, seed):
    draw = torch.Generator().manual_seed(seed)
    x, weight, bias = (
        torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True)
        for shape in ((batch, taps + more, channels), (size, channels, taps), (size,))
    )
    leaves = [x, weight] + ([bias] if with_bias else [])
    wanted = F.conv1d(x.transpose(1, 2), weight, bias if with_bias else None, stride=stride).transpose(1, 2)
    upstream = torch.randn(wanted.shape, generator=draw, dtype=torch.float64)
    found = strided_conv1d(x, weight, bias if with_bias else None, stride)
    with torch.no_grad():
        plain = strided_conv1d(x, weight, bias if with_bias else None, stride)
    assert (found - wanted).abs().max() < 1e-12 and (plain - wanted).abs().max() < 1e-12
    pairs = zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(wanted, leaves, upstream),
        strict=True,
    )
    for ours, theirs in pairs:
        assert (ours - theirs).abs().max() < 1e-11


def test_a_part_of_a_longer_tensor_is_read_where_it_lies():
    whole = torch.randn(2, 90, 3)
    part, weight = whole[:, 7:61], torch.randn(4, 3, 5)
    wanted = F.conv1d(part.transpose(1, 2), weight, stride=2).transpose(1, 2)
    with torch.no_grad():
        assert torch.allclose(strided_conv1d(part, weight, None, 2), wanted, atol=1e-5)
    assert torch.allclose(strided_conv1d(part, weight, None, 2), wanted, atol=1e-5)
