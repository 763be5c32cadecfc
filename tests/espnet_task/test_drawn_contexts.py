"""The contexts that a training draws: the same on all ranks, or on each its own."""

from __future__ import annotations

import pytest

from xlsrt.context import AttentionContext
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder

TINY = {"preset": "tiny", "num_layers": 1}


@pytest.mark.parametrize("apart", [False, True])
def test_ranks_draw_together_or_apart(apart: bool) -> None:
    drawn: list[list[AttentionContext]] = []
    for rank in (0, 1):
        encoder = XlsrEspnetEncoder(
            config=TINY,
            train_context={"chunk_frames": {"min": 16, "max": 128, "multiple": 8}, "per_rank": apart},
            eval_context={"chunk_ms": 640, "left_ms": 640},
        )
        encoder.rank = rank
        contexts = []
        for encoder.batches_seen in range(40):
            contexts.append(encoder.current_context())
        drawn.append(contexts)
        assert encoder.conf()["train_context"].get("per_rank", False) is apart
        assert len(set(contexts)) > 5
    assert (drawn[0] != drawn[1]) is apart
