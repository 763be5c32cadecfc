"""Attention written out for training in bfloat16 on CPUs, against the fused kernel in float32."""

from __future__ import annotations

import pytest
import torch

from xlsrt.encoder.attention import attend


@pytest.mark.parametrize("masked", [False, True])
def test_written_out_attention_equals_the_fused_one(masked: bool) -> None:
    torch.manual_seed(0)
    batch, frames, size, heads = 3, 37, 32, 4
    mask = (torch.rand(batch, 1, frames, frames) < 0.6) | torch.eye(frames, dtype=torch.bool)
    exact = [torch.randn(batch, frames, size).bfloat16().float().requires_grad_() for _ in range(3)]
    short = [x.detach().bfloat16().requires_grad_() for x in exact]
    upstream = torch.randn(batch, frames, size).bfloat16()
    wanted = attend(*exact, heads, mask if masked else None)
    found = attend(*short, heads, mask if masked else None)
    torch.testing.assert_close(found.float(), wanted, atol=0.03, rtol=0.03)
    wanted.backward(upstream.float())
    found.backward(upstream)
    for ours, theirs in zip(short, exact, strict=True):
        torch.testing.assert_close(ours.grad.float(), theirs.grad, atol=0.04, rtol=0.04)


def test_written_out_attention_drops_weights() -> None:
    torch.manual_seed(0)
    q = torch.randn(1, 50, 16, dtype=torch.bfloat16, requires_grad=True)
    ones = torch.ones(1, 50, 16, dtype=torch.bfloat16)
    dropped = attend(q, q, ones, 2, None, dropout=0.5)
    assert dropped.std() > 0.05 and abs(dropped.float().mean() - 1) < 0.1
    torch.testing.assert_close(attend(q, q, ones, 2, None), ones, atol=0.02, rtol=0)
