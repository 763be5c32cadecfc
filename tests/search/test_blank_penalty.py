"""A penalty on the blank is the same as a model whose blank is less likely."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.search.test_greedy import make_head, same
from xlsrt.errors import UserError
from xlsrt.search import search_from_dict


@pytest.mark.parametrize("settings", [{"type": "greedy"}, {"type": "beam", "beam_size": 3}])
def test_equals_a_head_with_a_lower_blank(settings) -> None:
    head = make_head(blank_bias=4.0, output_subsampling=2)
    lower = copy.deepcopy(head)
    with torch.no_grad():
        lower.joint.output.bias[0] -= 1.5
    enc, lens = torch.randn(3, 30, 6), torch.tensor([30, 1, 17])

    def found(head, **more):
        search = search_from_dict({**settings, **more}, head)
        return search.finish(search.step(enc, lens, search.init_state(3)))

    plain, penalised, wanted = found(head), found(head, blank_penalty=1.5), found(lower)
    for ours, theirs in zip(penalised, wanted, strict=True):
        same(ours, theirs)
    assert [h.tokens for h in penalised] != [h.tokens for h in plain]


@pytest.mark.parametrize("value", ["much", float("nan"), True, None])
@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_what_is_no_number_is_refused(kind, value) -> None:
    with pytest.raises(UserError, match="blank_penalty"):
        search_from_dict({"type": kind, "blank_penalty": value}, make_head())
