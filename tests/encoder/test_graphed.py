"""Steps through fixed buffers, as CUDA graphs replay them, against plain steps."""

from __future__ import annotations

import logging

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder import EncoderState, graphed
from xlsrt.encoder.graphed import GraphedStep

SMALL = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64}


@pytest.fixture(scope="module")
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval()


def stream(step: object, encoder: XlsrEncoder, context: AttentionContext) -> list[torch.Tensor]:
    """Unequal packets of three streams, every state used twice: a state given stays valid."""
    wav = torch.randn(3, 30000, generator=torch.Generator().manual_seed(0)) * 0.1
    state, given = encoder.init_state(3, context), []
    for number, packet in enumerate(wav.split(6000, dim=1)):
        lens = None if number < 2 else torch.tensor([6000, 6000 - 1500 * number, 100])
        again = step(packet, state, lens)  # type: ignore[operator]
        y, y_lens, state = step(packet, state, lens)  # type: ignore[operator]
        assert torch.equal(again[0], y)
        given += [y, y_lens, again[0], again[2].keys, again[2].positions]
    return [*given, *encoder.flush(EncoderState.stack([state]))]


@pytest.mark.parametrize(
    "context",
    [AttentionContext(8, 16, 3), AttentionContext(16, 0, 0), AttentionContext(8), AttentionContext.full()],
    ids=str,
)
def test_equals_step(encoder: XlsrEncoder, context: AttentionContext) -> None:
    wanted = stream(encoder.step, encoder, context)
    found = stream(GraphedStep(encoder), encoder, context)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape and (one - other).abs().sum() == 0


def test_one_chunk_per_batch_context_and_weights(encoder: XlsrEncoder) -> None:
    step = GraphedStep(encoder, most=2)

    def run(batch: int, context: AttentionContext) -> None:
        step(torch.randn(batch, 6000), encoder.init_state(batch, context))

    one, other = AttentionContext(8, 8, 0), AttentionContext(8, 8, 1)
    for batch, context, kept in ((1, one, 1), (1, one, 1), (2, one, 2), (1, other, 2)):
        run(batch, context)
        assert len(step._chunks) == kept
    weight = encoder.encoder.layers[0].feed_forward.output_dense.weight  # type: ignore[union-attr]
    before = set(step._chunks)
    with torch.no_grad():
        weight.add_(0.1)
    run(1, other)
    assert set(step._chunks) - before


def test_failing_captures_are_said_once(
    encoder: XlsrEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(graphed.StaticChunk, "capture", fail)
    step = GraphedStep(encoder)
    step._captures = True
    for batch in (1, 2, 1):
        state = encoder.init_state(batch, AttentionContext(8, 8, 2))
        packet = torch.randn(batch, 6000)
        assert torch.equal(step(packet, state)[0], encoder.step(packet, state)[0])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "not permitted when stream is capturing): streams run without them" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captures need a GPU")
def test_graphs_equal_step_on_cuda() -> None:
    torch.manual_seed(0)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval().cuda()
    step, context = GraphedStep(encoder), AttentionContext(8, 16, 3)
    wav = torch.randn(3, 30000, device="cuda") * 0.1
    one = other = encoder.init_state(3, context)
    for packet in wav.split(6000, dim=1):
        y, _, one = step(packet, one)
        wanted, _, other = encoder.step(packet, other)
        assert y.shape == wanted.shape and (not y.numel() or (y - wanted).abs().max() <= 1e-4)
    assert step._captures and step._chunks
