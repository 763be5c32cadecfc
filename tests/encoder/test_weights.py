"""The weights that are shown are those that are used."""

from __future__ import annotations

import pytest
import torch

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.attention import attend
from xlsrt.encoder.weights import attention_weights, weights
from xlsrt.errors import UserError

CONTEXTS = [AttentionContext.full(), AttentionContext(4, 4, 2), AttentionContext(4, None, 0)]


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_weights_are_those_of_scaled_dot_product_attention(context: AttentionContext) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 13, 24, dtype=torch.float64)
    mask = context.mask(13)[None, None]
    found = weights(q, k, 3, mask)
    assert found.shape == (2, 3, 13, 13)
    mixed = found @ v.view(2, 13, 3, 8).transpose(1, 2)
    expected = attend(q, k, v, 3, mask)
    torch.testing.assert_close(mixed.transpose(1, 2).reshape(2, 13, 24), expected, rtol=0, atol=1e-12)
    assert bool(((found > 0) == mask).all())


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_an_utterance_is_encoded_as_ever_while_its_weights_are_seen(context: AttentionContext) -> None:
    torch.manual_seed(0)
    config = XlsrConfig.preset("tiny")
    encoder = XlsrEncoder(config).double().eval()
    wav = torch.randn(16000, dtype=torch.float64)
    seen: list[torch.Tensor] = []
    y = attention_weights(encoder, wav, context, seen.append)
    with torch.no_grad():
        expected, lens = encoder(wav[None], None, context)
    torch.testing.assert_close(y, expected[0], rtol=0, atol=1e-9)
    frames = int(lens[0])
    assert [layer.shape for layer in seen] == [(config.num_heads, frames, frames)] * config.num_layers
    for layer in seen:
        torch.testing.assert_close(layer.sum(-1), torch.ones_like(layer[..., 0]))
        assert bool(((layer > 0) == context.mask(frames)).all())


def test_less_than_a_frame_has_no_attention() -> None:
    with pytest.raises(UserError, match="no frame"):
        attention_weights(
            XlsrEncoder(XlsrConfig.preset("tiny")), torch.zeros(399), CONTEXTS[0], lambda _: None
        )
