"""The pictured stream is the encoder's: the same frames given out, the same frames in its cache."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.report import streaming

CONTEXTS = [
    AttentionContext(4, 3, 2), AttentionContext(4, 4, 0), AttentionContext(3, 0, 0),
    AttentionContext(2, None, 0), AttentionContext(4, 8, 6),
]  # fmt: skip


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
@pytest.mark.parametrize("packet", [500, 1280, 7000])
def test_the_simulation_is_what_the_encoder_does(context: AttentionContext, packet: int) -> None:
    torch.manual_seed(0)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny")).eval()
    state = encoder.init_state(1, context)
    wav = torch.randn(1, 9000)
    moments = streaming.simulate(context, 9000, packet)
    for number, moment in enumerate(moments[:-1]):
        _, lens, state = encoder.step(wav[:, number * packet : (number + 1) * packet], state)
        assert int(lens[0]) == moment.computed[1] - moment.computed[0]
        assert int(state.frames[0]) == moment.computed[1]
        kept = sorted(position for position in state.positions[0].tolist() if position >= 0)
        assert kept == list(moment.cached)
        assert int(state.seen[0]) == moment.samples
    assert moments[-1].samples == 9000 and moments[-1].computed[1] == moments[-1].heard == 27


def test_colours() -> None:
    context = AttentionContext(2, 2, 1)
    moments = streaming.simulate(context, 320 * 20 + 80, 640)
    names = {tuple(colour): name for name, colour in streaming.NAMES.items()}
    names[streaming.UNHEARD] = "unheard"
    row = [names[tuple(c)] for c in streaming.colours(context, moments[4], 20).tolist()]
    # 3200 samples: 9 frames heard, chunk 3 (frames 6 and 7) given out with this packet.
    assert row[:10] == [
        "kept as sink", *["given out, forgotten"] * 5,
        *["computed now"] * 2, "waits for its chunk", "unheard",
    ]  # fmt: skip
    assert moments[4].cached == (0, 6, 7)


def test_the_animation_has_a_picture_for_each_packet_and_is_small() -> None:
    context = AttentionContext(32, 32, 16)
    content = streaming.animation(context, 4.0, 80, 1000)
    image = Image.open(io.BytesIO(content))
    assert image.n_frames == len(streaming.simulate(context, 64000, 1280)) == 50
    assert len(content) < 100_000
    assert streaming.picture(context, 4.0, 80).shape == (50, 199, 3)
    image.seek(49)
    assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 5


def test_nothing_to_stream() -> None:
    with pytest.raises(UserError, match="nothing before the end"):
        streaming.simulate(AttentionContext.full(), 16000, 1280)
    with pytest.raises(UserError, match="nothing to see"):
        streaming.picture(CONTEXTS[0], 0.01, 80)
