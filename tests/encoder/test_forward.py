"""The masked forward: padding, chunks, the two attention plans, causality through all four leaks."""

from __future__ import annotations

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder.attention import BlockPlan, DensePlan

CONTEXTS = [
    AttentionContext.full(),
    AttentionContext(8, 16, 4),
    AttentionContext(16, 0, 0),
    AttentionContext(5, 13, 3),
    AttentionContext(1, 2, 1),
    AttentionContext(16, None, 0),
    AttentionContext(7, 3, 40),
    AttentionContext(500, 10, 2),
]


@pytest.fixture(scope="module")
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny")).double().eval()


def speech(batch: int, samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(samples)
    return torch.randn(batch, samples, generator=generator, dtype=torch.float64) * 0.05


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_padding_does_not_matter(encoder: XlsrEncoder, context: AttentionContext) -> None:
    lens = torch.tensor([48000, 399, 0, 30001, 400])
    wav = speech(5, 50000)
    wav[1, 399:] = float("nan")  # padding may hold anything
    with torch.no_grad():
        y, y_lens = encoder(wav, lens, context)
        assert y_lens.tolist() == [149, 0, 0, 93, 1]
        assert y.shape == (5, (50000 - 400) // 320 + 1, 96)
        for row, size in enumerate(lens.tolist()):
            alone, alone_lens = encoder(wav[row : row + 1, :size], None, context)
            assert alone_lens.tolist() == [y_lens[row]]
            assert alone.shape == (1, y_lens[row], 96)
            if size >= 400:
                assert (y[row, : y_lens[row]] - alone[0]).abs().max() <= 1e-9
            assert (y[row, y_lens[row] :] == 0).all()


@pytest.mark.parametrize("context", [c for c in CONTEXTS if not c.is_full], ids=str)
def test_no_frame_sees_the_future(encoder: XlsrEncoder, context: AttentionContext) -> None:
    """Change every sample after a chunk's last window: nothing up to that chunk may move by a single bit."""
    wav = speech(1, 48000)
    assert context.chunk_frames is not None
    chunk = min(context.chunk_frames, 40)
    with torch.no_grad():
        y, _ = encoder(wav, None, context)
        for frames in {chunk, 3 * chunk, 100 // chunk * chunk} - {0}:
            if frames % context.chunk_frames:
                continue
            changed = wav.clone()
            changed[:, (frames - 1) * 320 + 400 :] = torch.rand(
                1, changed.shape[1] - (frames - 1) * 320 - 400
            )
            other, _ = encoder(changed, None, context)
            assert (y[:, :frames] - other[:, :frames]).abs().max() == 0
            assert (y[:, frames:] - other[:, frames:]).abs().max() > 1e-3


@pytest.mark.parametrize("context", [c for c in CONTEXTS if c.left_frames is not None], ids=str)
@pytest.mark.parametrize("frames", [1, 8, 37, 150])
def test_block_plan_equals_dense_plan(context: AttentionContext, frames: int) -> None:
    torch.manual_seed(frames)
    lens = torch.tensor([frames, max(1, frames // 2), 0])
    q, k, v = (torch.randn(3, frames, 24, dtype=torch.float64, requires_grad=True) for _ in range(3))
    valid = (torch.arange(frames) < lens[:, None])[:, :, None]
    outs, grads = [], []
    for plan in (BlockPlan(context, lens, frames), DensePlan(context, lens, frames, True)):
        y = plan.attend(q, k, v, 4, 0.0).masked_fill(~valid, 0.0)
        outs.append(y)
        grads.append(torch.autograd.grad((y * torch.linspace(0, 1, 24)).sum(), (q, k, v)))
    assert (outs[0] - outs[1]).abs().max() <= 1e-12
    for one, other in zip(*grads, strict=True):
        assert (one - other).abs().max() <= 1e-12


def test_the_mask_is_the_rule_on_a_whole_encoder(encoder: XlsrEncoder) -> None:
    """Position convolution silenced, a frame's output moves with exactly the frames the rule lets it see."""
    torch.manual_seed(3)
    model = XlsrEncoder(XlsrConfig.preset("tiny", num_layers=1, input_norm="none")).double().eval()
    context = AttentionContext(4, 6, 2)
    frames = 40
    wav = speech(1, 400 + 39 * 320)
    position = model.encoder.pos_conv_embed
    with torch.no_grad():
        position.conv.parametrizations.weight.original0.zero_()  # type: ignore[union-attr]
        x = model.features(wav, None)
        from xlsrt.encoder.attention import make_plan

        def run(x: torch.Tensor) -> torch.Tensor:
            plan = make_plan(context, torch.tensor([frames]), frames, False)
            return model.encoder(x, plan, context.chunk_frames, False)

        base = run(x)
        for key in range(frames):
            moved = x.clone()
            moved[:, key] += torch.randn(x.shape[2], dtype=x.dtype)  # the norm would take a constant away
            seen = ((run(moved) - base).abs().amax(2) > 0)[0]
            expected = context.visible(torch.arange(frames), key)
            assert seen.tolist() == expected.tolist()


def test_context_is_optional_and_full(encoder: XlsrEncoder) -> None:
    wav = speech(1, 8000)
    with torch.no_grad():
        assert torch.equal(encoder(wav)[0], encoder(wav, torch.tensor([8000]), AttentionContext.full())[0])
