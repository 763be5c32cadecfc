"""FlexAttention's blocks against the plain mask: the same numbers, no block too few, none too many."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import flex_attention

from xlsrt import AttentionContext
from xlsrt.encoder import flex
from xlsrt.encoder.attention import BlockPlan, DensePlan, make_plan
from xlsrt.encoder.flex import BLOCK, FlexOrDense, FlexPlan, visible_blocks

CONTEXTS = [
    AttentionContext(8, 16, 4),
    AttentionContext(16, None, 0),
    AttentionContext(5, 200, 40),
    AttentionContext(1, 2, 150),
    AttentionContext(128, 128, 0),
    AttentionContext(200, 0, 0),
]


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_equals_the_plain_mask(context: AttentionContext, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not through the compiler: it is the mask that is in question, and loading it takes longer than all else.
    monkeypatch.setattr(flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    torch.manual_seed(0)
    for frames in (37, 300):
        lens = torch.tensor([frames, frames // 3, 0])
        q, k, v = (torch.randn(3, frames, 64) for _ in range(3))
        found = FlexPlan(context, lens, frames).attend(q, k, v, 4, 0.0)
        wanted = DensePlan(context, lens, frames, True).attend(q, k, v, 4, 0.0)
        assert found.shape == wanted.shape and torch.isfinite(found).all()
        for row, size in enumerate(lens.tolist()):
            assert size == 0 or (found[row, :size] - wanted[row, :size]).abs().max() <= 1e-5


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
@pytest.mark.parametrize("frames", [100, 128, 500])
def test_blocks_are_those_of_the_mask(context: AttentionContext, frames: int) -> None:
    lens = torch.tensor([frames, frames // 2 + 1])
    some, every = visible_blocks(context, lens, frames)
    blocks = -(-frames // BLOCK)
    padded = torch.zeros(2, blocks * BLOCK, blocks * BLOCK, dtype=torch.bool)
    padded[:, :frames, :frames] = context.mask(frames)[None] & (torch.arange(frames) < lens[:, None])[:, None]
    tiles = padded.view(2, blocks, BLOCK, blocks, BLOCK).transpose(2, 3)
    assert torch.equal(some[:, 0], tiles.any(-1).any(-1) | torch.eye(blocks, dtype=torch.bool))
    for block in range(blocks):  # queries beyond the last frame have no say
        rows = min(BLOCK, frames - block * BLOCK)
        assert torch.equal(every[:, 0, block], tiles[:, block, :, :rows].all(-1).all(-1))
    if context.left_frames is not None and frames == 500 and context.cache_frames < 100:
        assert some.float().mean() < 0.8, "blocks that nobody sees are left out"


def test_only_cuda_without_dropout_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, cpu, far = torch.device("cuda"), torch.device("cpu"), AttentionContext(16, None, 0)
    assert FlexPlan.serves(far, 100, cuda, 0.0)
    assert not FlexPlan.serves(far, 100, cpu, 0.0)
    assert not FlexPlan.serves(far, 100, cuda, 0.1)
    assert not FlexPlan.serves(far, 16, cuda, 0.0)
    assert not FlexPlan.serves(AttentionContext.full(), 100, cuda, 0.0)
    assert isinstance(make_plan(far, torch.tensor([100]), 100, False), DensePlan)
    assert isinstance(make_plan(AttentionContext(8, 8, 2), torch.tensor([100]), 100, False), BlockPlan)
    monkeypatch.setattr(flex._Broken, "said", True)
    assert not FlexPlan.serves(far, 100, cuda, 0.0)


def test_a_failure_is_said_once_and_the_plain_mask_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context, lens = AttentionContext(16, None, 0), torch.tensor([100])
    tried = []

    def fail() -> FlexPlan:
        tried.append(1)
        raise RuntimeError("no C compiler\nand a long story")

    dense = DensePlan(context, lens, 100, False)
    monkeypatch.setattr(flex._Broken, "said", False)
    q, k, v = (torch.randn(1, 100, 64) for _ in range(3))
    for _ in range(2):
        plan = FlexOrDense(fail, lambda: dense)
        for _ in range(2):
            assert torch.equal(plan.attend(q, k, v, 4, 0.0), dense.attend(q, k, v, 4, 0.0))
    assert tried == [1]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "RuntimeError: no C compiler): attention goes on with a plain mask" in caplog.text

    def out_of_memory() -> FlexPlan:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(flex._Broken, "said", False)
    with pytest.raises(torch.OutOfMemoryError):
        FlexOrDense(out_of_memory, lambda: dense).attend(q, k, v, 4, 0.0)


def test_torch_may_compile_as_many_variants_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its own limit it would run uncompiled, with the whole matrix in memory."""
    given = []

    def compile_now(function: object, dynamic: bool, recompile_limit: int | None = None) -> None:
        given.append(recompile_limit)

    def compile_before(function: object, dynamic: bool) -> None:
        given.append(None)

    monkeypatch.setattr(torch, "compile", compile_now)
    flex._compiled.__wrapped__()
    monkeypatch.setattr(torch, "compile", compile_before)
    for name in ("recompile_limit", "cache_size_limit"):
        for before, after in ((8, flex.VARIANTS), (1000, 1000)):
            config = SimpleNamespace(**{name: before})
            monkeypatch.setattr(torch._dynamo, "config", config)
            flex._compiled.__wrapped__()
            assert vars(config) == {name: after}
    assert given == [flex.VARIANTS, None, None, None, None]
