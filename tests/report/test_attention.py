"""Shares of attention against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.weights import attention_weights
from xlsrt.errors import UserError
from xlsrt.report import attention, figures

CONTEXT = AttentionContext(4, 4, 2)


@pytest.fixture(scope="module")
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny")).eval()


@pytest.fixture(scope="module")
def wav() -> torch.Tensor:
    return 0.1 * torch.randn(320 * 30 + 80, generator=torch.Generator().manual_seed(1))


def test_shares_equal_sums_by_hand(encoder: XlsrEncoder, wav: torch.Tensor) -> None:
    measured = attention.measure(encoder, wav, CONTEXT)
    layers: list[torch.Tensor] = []
    attention_weights(encoder, wav, CONTEXT, layers.append)
    # Chunk 2 begins at frame 8 and is the first whose left context (4 to 7) leaves frames 0 and 1 out.
    queries = range(8, 30)
    assert (measured.frames, measured.first, measured.queries) == (30, 2, len(queries))
    for layer, w in enumerate(layers):
        for head in range(len(w)):
            sinks = [float(w[head, q, :2].sum()) for q in queries]
            chunk = [float(w[head, q, q // 4 * 4 : q // 4 * 4 + 4].sum()) for q in queries]
            assert measured.sinks[layer, head] == pytest.approx(np.mean(sinks), abs=1e-6)
            assert measured.chunk[layer, head] == pytest.approx(np.mean(chunk), abs=1e-6)
    np.testing.assert_allclose(measured.sinks + measured.left + measured.chunk, 1, atol=1e-5)
    # The last chunk has two frames only: of 8 keys 2 are sinks there, elsewhere 2 of 10.
    assert measured.even == pytest.approx((20 * 0.2 + 2 * 0.25) / 22)
    # Frame 5 is seen by chunks 1 and 2.
    assert measured.received[0, 5] == pytest.approx(float(layers[0][:, 4:12, 5].mean()), abs=1e-6)


def test_pictures_and_figures(encoder: XlsrEncoder, wav: torch.Tensor) -> None:
    measured = attention.measure(encoder, wav, CONTEXT)
    layers, heads, size, _ = measured.pictures.shape
    assert size == 30 and (layers, heads) == measured.sinks.shape
    pixels = attention.mosaic(measured)
    assert pixels.shape == (layers * 32, heads * 32, 3)
    # What is not seen is white: frame 29 does not look at frame 10.
    assert pixels[29, 10].tolist() == [255, 255, 255] and pixels[29, 28].tolist() != [255, 255, 255]
    for figure in (attention.share_figure(measured), attention.received_figure(measured)):
        assert figures.svg(figure).endswith("</svg>\n")
    assert f"{100 * measured.even:.1f} %" in measured.text()
    assert len(measured.text().splitlines()) == 3 + layers + 1
    assert measured.to_dict()["context"] == CONTEXT.to_dict()


def test_long_pictures_are_averaged() -> None:
    weights = np.random.default_rng(0).random((130, 130))
    small = attention._shrunk(weights)
    assert small.shape == (attention.PIXELS, attention.PIXELS)
    assert small[0, 0] == pytest.approx(weights[:2, :2].mean())


def test_full_attention_and_all_the_past_have_first_frames_too(
    encoder: XlsrEncoder, wav: torch.Tensor
) -> None:
    for context in (AttentionContext.full(), AttentionContext(4, None, 0)):
        measured = attention.measure(encoder, wav, context, first=3)
        assert measured.first == 3 and 0 < measured.sinks.mean() < 1
        np.testing.assert_allclose(measured.sinks + measured.left + measured.chunk, 1, atol=1e-5)


@pytest.mark.parametrize(
    ("context", "seconds", "message"),
    [
        (CONTEXT, 0.1, "too short to see sinks beyond the left context: give 0.24 s"),
        (AttentionContext(4, 4, 0), 1.0, "no frame sees the first 16 frames beyond its left context"),
        (CONTEXT, 3600.0, "attention of 3600 s would need memory"),
    ],
)
def test_utterances_that_show_nothing(
    encoder: XlsrEncoder, context: AttentionContext, seconds: float, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        attention.measure(encoder, torch.zeros(round(16000 * seconds)), context)
