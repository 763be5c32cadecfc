"""Forced alignment of tokens against all paths."""

from __future__ import annotations

import itertools

import pytest
import torch

from xlsrt.alignment.tokens import TokenSpan, align_tokens
from xlsrt.errors import UserError


def collapse(path: tuple[int, ...]) -> list[int]:
    return [t for at, t in enumerate(path) if t != 0 and (at == 0 or path[at - 1] != t)]


@pytest.mark.parametrize("tokens", [[1, 2], [1, 1], [2], [1, 2, 1]])
def test_the_best_of_all_paths_is_found(tokens: list[int]) -> None:
    log_probs = torch.randn(6, 3, generator=torch.Generator().manual_seed(len(tokens))).log_softmax(-1)
    paths = [path for path in itertools.product(range(3), repeat=6) if collapse(path) == tokens]
    best = max(paths, key=lambda path: float(sum(log_probs[t, v] for t, v in enumerate(path))))
    spans = align_tokens(log_probs, tokens)
    framed = [0] * 6
    for token, span in zip(tokens, spans, strict=True):
        framed[span.start : span.end] = [token] * (span.end - span.start)
        wanted = log_probs[span.start : span.end, token].exp().mean()
        assert span.prob == pytest.approx(float(wanted), rel=1e-4)
    assert tuple(framed) == best


def test_what_does_not_fit() -> None:
    log_probs = torch.zeros(3, 4).log_softmax(-1)
    assert align_tokens(log_probs, []) == []
    assert [type(span) for span in align_tokens(log_probs, [1, 2, 3])] == [TokenSpan] * 3
    for tokens in ([1, 2, 3, 1], [1, 1, 2]):
        with pytest.raises(UserError, match=f"{len(tokens)} tokens do not fit into 3 frames"):
            align_tokens(log_probs, tokens)
    with pytest.raises(UserError, match="too many to align at once"):
        align_tokens(torch.zeros(1, 4).expand(180_000, 4), [1, 2] * 3000)
