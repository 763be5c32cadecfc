"""Convolutions as products of matrices, against PyTorch's."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from xlsrt.encoder import strided_conv
from xlsrt.encoder.strided_conv import plain_conv, strided_conv1d, takes_tf32


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


@pytest.mark.parametrize("kernel", [(6, 3, 5), (6, 3, 1, 5)])
def test_float32_is_not_rounded_where_nobody_learns(kernel, monkeypatch):
    """On CUDA; here the same call is made on a CPU, which has no TF32."""
    x = torch.randn(2, 6, *(1 for _ in kernel[3:]), 40)
    weight, bias, stride = torch.randn(kernel), torch.randn(6), (1,) * (len(kernel) - 3) + (2,)
    allowed = []
    convolution = torch._convolution

    def spied(*args, allow_tf32):
        allowed.append(allow_tf32)
        return convolution(*args, allow_tf32)

    monkeypatch.setattr(torch, "_convolution", spied)
    wanted = plain_conv(x, weight, bias, stride, 2)
    assert wanted.shape == (2, 6, *(1 for _ in kernel[3:]), 18) and not allowed
    monkeypatch.setattr(strided_conv, "takes_tf32", lambda x: True)
    assert torch.equal(plain_conv(x, weight, bias, stride, 2), wanted)
    assert allowed == [False]


def test_who_takes_tf32(monkeypatch):
    x = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    with torch.no_grad():
        assert takes_tf32(x)
        assert not takes_tf32(SimpleNamespace(device=x.device, dtype=torch.bfloat16))
        assert not takes_tf32(torch.zeros(1))
    assert not takes_tf32(x)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: True)
    with torch.no_grad():
        assert not takes_tf32(x)
