from __future__ import annotations

import base64
import io

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError
from xlsrt.report import figures, patterns

contexts = st.one_of(
    st.just(AttentionContext.full()),
    st.builds(
        AttentionContext, st.integers(1, 9), st.one_of(st.none(), st.integers(0, 12)), st.integers(0, 5)
    ),
)


@given(contexts, st.integers(1, 24))
def test_pictures_equal_the_rule_pixel_for_cell(context: AttentionContext, frames: int) -> None:
    uri = figures.png_uri(patterns.picture(context, frames))
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert pixels.shape[:2] == (frames, frames)
    white = (pixels[..., :3] == 1.0).all(axis=-1)
    for q in range(frames):
        for k in range(frames):
            assert white[q, k] != bool(context.visible(q, k)), (q, k)


@given(contexts, st.integers(1, 24))
def test_figures_equal_counting_by_hand(context: AttentionContext, frames: int) -> None:
    seen = [[bool(context.visible(q, k)) for k in range(frames)] for q in range(frames)]
    assert patterns.visible(context, frames).tolist() == seen
    assert patterns.keys_per_query(context, frames).tolist() == [sum(row) for row in seen]
    assert patterns.density(context, frames) == pytest.approx(np.mean(seen))
    assert patterns.held_frames(context, frames) == max(sum(row) for row in seen)


def test_sinks_are_coloured_where_only_they_make_a_key_visible() -> None:
    picture = patterns.picture(AttentionContext(2, 2, 1), 8)
    sinks = {(q, k) for q, k in np.argwhere((picture == patterns.SINK).all(-1)).tolist()}
    assert sinks == {(4, 0), (5, 0), (6, 0), (7, 0)}


def test_contexts_from_the_command_line() -> None:
    assert patterns.parse_context("640,1280,16").context == AttentionContext(32, 64, 16)
    assert patterns.parse_context("320,all").context == AttentionContext(16, None, 0)
    assert patterns.parse_context("full").context.is_full
    for wrong in ("640", "640,x,1", "640,0,1,2", "a,b"):
        with pytest.raises(UserError, match="--context"):
            patterns.parse_context(wrong)
    with pytest.raises(UserError, match="multiple of 20"):
        patterns.parse_context("330,0")
