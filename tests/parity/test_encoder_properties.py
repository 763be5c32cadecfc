"""Properties over random contexts and lengths: a batch changes nothing, and no frame sees the future."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tests.parity.test_encoder_streaming import BOUND, ENCODERS, PROPERTY, contexts, lengths, signal, whole
from xlsrt import AttentionContext

chunked = contexts.filter(lambda context: not context.is_full)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_alone_and_in_a_padded_batch(dtype: torch.dtype) -> None:
    encoder = ENCODERS[dtype]

    @PROPERTY
    @given(contexts, st.lists(lengths, min_size=1, max_size=4), st.integers(0, 3000))
    @example(AttentionContext(4, 8, 64), [40000, 399, 9000], 0)
    @example(AttentionContext(8, 8, 2), [40000, 20500], 0)
    def check(context: AttentionContext, sizes: list[int], beyond: int) -> None:
        wavs = [signal(number, size, dtype) for number, size in enumerate(sizes)]
        batch = torch.full((len(sizes), max(sizes) + beyond), float("nan"), dtype=dtype)
        for row, wav in enumerate(wavs):
            batch[row, : len(wav)] = wav
        with torch.no_grad():
            y, y_lens = encoder(batch, torch.tensor(sizes), context)
        for row, wav in enumerate(wavs):
            wanted = whole(encoder, wav, context)
            assert int(y_lens[row]) == len(wanted)
            assert (y[row, y_lens[row] :] == 0).all()
            if len(wanted):
                assert (y[row, : y_lens[row]] - wanted).abs().max() <= BOUND[dtype]

    check()


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_causality_probe(dtype: torch.dtype) -> None:
    """Perturb every sample after some chunk's last window: no frame up to that chunk moves by a single bit.

    Attention, position convolution, normalisation and feature extractor would each let it through.
    """
    encoder = ENCODERS[dtype]

    @PROPERTY
    @given(chunked, st.integers(2000, 40000), st.floats(0, 1))
    def check(context: AttentionContext, samples: int, where: float) -> None:
        assert context.chunk_frames is not None
        frames = encoder.config.num_frames(samples)
        done = int(where * (frames // context.chunk_frames)) * context.chunk_frames
        heard = (done - 1) * 320 + 400 if done else 0
        wav = signal(samples, samples, dtype)
        other = wav.clone()
        other[heard:] = torch.rand(samples - heard, dtype=dtype) * 9 - 2
        one, two = whole(encoder, wav, context), whole(encoder, other, context)
        assert (one[:done] != two[:done]).sum() == 0
        if done < frames and samples > heard:
            assert (one[done:] - two[done:]).abs().max() > 0

    check()
