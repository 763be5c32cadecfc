"""A plain function of the tokens so far as the language model of a beam search."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.search.test_fusion import Favour
from tests.search.test_greedy import make_head, same
from xlsrt.errors import UserError
from xlsrt.search import search_from_dict


def favour(tokens):
    """`Favour` as a function."""
    return torch.nn.functional.one_hot(torch.tensor(3), 9).float() * (2.0 + tokens.count(3))


def found(lm, head, enc, key="lm", **options):
    values = {"type": "beam", "lm": lm, "lm_weight": 1.5, **options}
    search = search_from_dict(values, head)
    return search.finish(search.step(enc, torch.tensor([enc.size(1)]), search.init_state(1)))[0]


@pytest.mark.parametrize("kind", [lambda row: row, lambda row: row.numpy(), lambda row: row.tolist()])
def test_it_is_what_a_scorer_is(kind):
    head, enc = make_head(blank_bias=2.0), torch.randn(1, 20, 6)
    wanted = found(Favour(), head, enc)
    assert wanted.tokens.count(3) > 1
    same(found(lambda tokens: kind(favour(tokens)), head, enc), wanted)
    half = found(lambda tokens: kind(favour(tokens)), head, enc, lodr=favour, lodr_weight=0.75)
    same(half, found(Favour(), head, enc, lm_weight=0.75))


def test_it_is_told_all_tokens_without_blanks():
    asked = []

    def ask(tokens):
        asked.append(tokens)
        return np.zeros(9)

    head, enc = make_head(blank_bias=2.0), torch.randn(1, 20, 6)
    best = found(ask, head, enc)
    assert best.tokens and asked[0] == () and tuple(best.tokens) in asked
    assert not any(head.config.blank_id in tokens for tokens in asked)


def test_what_is_impossible_is_never_said():
    def never(tokens):
        return [-math.inf if token == 3 else 0.0 for token in range(9)]

    head, enc = make_head(blank_bias=2.0), torch.randn(1, 20, 6)
    assert 3 in found(favour, head, enc).tokens
    assert 3 not in found(never, head, enc).tokens
    same(found(never, head, enc, lm_weight=0.0), found(favour, head, enc, lm_weight=0.0))
    with pytest.raises(
        UserError, match=r"lodr .* for token 3; .*its scores are taken off, so it must not give"
    ):
        found(favour, head, enc, lodr=never)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (np.zeros(4), r"lm \(wrong\) returned shape \(4,\); give \(9,\), one for each token"),
        (np.zeros((1, 9)), r"returned shape \(1, 9\); give \(9,\)"),
        (3.0, r"returned shape \(\); give \(9,\)"),
        (
            [0.0] * 8 + [math.nan],
            r"lm \(wrong\) returned NaN or infinity for token 8; give natural logarithms",
        ),
        ([math.inf] * 9, "NaN or infinity for token 0"),
        (None, r"lm \(wrong\) returned no row of numbers for the tokens \(\)"),
        ("much", "returned no row of numbers"),
    ],
)
def test_wrong_rows_are_refused_before_there_is_audio(row, words):
    def wrong(tokens):
        return row

    with pytest.raises(UserError, match=words):
        search_from_dict({"type": "beam", "lm": wrong}, make_head())


def test_a_class_is_no_model_yet():
    with pytest.raises(UserError, match=r"lm is <class .*Favour'>, neither a file nor an object"):
        search_from_dict({"type": "beam", "lm": Favour}, make_head())
