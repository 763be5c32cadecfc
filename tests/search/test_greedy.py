"""The batched search against the plain one, and against itself cut, batched and picked in other ways."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.cuts import states_in_pieces
from tests.search.reference import greedy
from xlsrt.errors import UserError
from xlsrt.search import BeamSearch, GreedySearch, search_from_dict
from xlsrt.transducer import HeadConfig, TransducerHead


def make_head(seed=0, blank_bias=1.0, **options):
    """A random head whose blanks and tokens take turns."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 9, "predictor_size": 8, "joint_size": 16}
    config = HeadConfig(encoder_size=6, **{**sizes, **options})
    head = TransducerHead(config).eval()
    with torch.no_grad():
        head.joint.output.weight.mul_(6)
        head.joint.output.bias[config.blank_id] += blank_bias
    return head


def same(found, wanted):
    assert found.tokens == wanted.tokens
    assert found.frames == wanted.frames
    assert found.probs == pytest.approx(wanted.probs, abs=1e-5)
    assert found.score == pytest.approx(wanted.score, abs=1e-4)


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize("subsampling", [1, 2, 4])
@pytest.mark.parametrize("blank_bias", [-3.0, 1.0, 4.0])
def test_equals_the_plain_search(predictor, subsampling, blank_bias):
    head = make_head(predictor=predictor, output_subsampling=subsampling, blank_bias=blank_bias)
    lens = [37, 0, 1, 22, 5]
    enc = torch.randn(5, 37, 6)
    search = GreedySearch(head, max_symbols=3, window=4)
    found = search.finish(search.step(enc, torch.tensor(lens), search.init_state(5)))
    assert sum(len(h.tokens) for h in found) > 3
    for i, length in enumerate(lens):
        same(found[i], greedy(head, enc[i, :length], max_symbols=3))


@pytest.mark.parametrize(("predictor", "blank_bias"), [("lstm", -4.0), ("lstm", 4.0), ("stateless", 1.0)])
def test_windows_do_not_matter(predictor, blank_bias):
    """Nor that they get narrower where something is said in each, as it is with the first of these heads."""
    head = make_head(blank_bias=blank_bias, predictor=predictor)
    lens, enc = torch.tensor([60, 3, 41]), torch.randn(3, 60, 6)
    wanted = [greedy(head, enc[row, :length]) for row, length in enumerate(lens.tolist())]
    assert sum(len(one.tokens) for one in wanted) > int(lens.sum()) * (blank_bias < 0)
    for window in (1, 2, 3, 16):
        search = GreedySearch(head, window=window)
        state = search.step(enc, lens, search.init_state(3))
        for found, one in zip(search.finish(state), wanted, strict=True):
            same(found, one)


@pytest.mark.parametrize("subsampling", [1, 4])
def test_what_stands_behind_an_end_is_never_heard(subsampling):
    """Were it only multiplied by zero, a NaN there would reach the carried frames."""
    head, lens = make_head(output_subsampling=subsampling), torch.tensor([9, 0, 17])
    search, enc = GreedySearch(head), torch.randn(3, 17, 6)
    wanted = search.finish(search.step(enc, lens, search.init_state(3)))
    padded = enc.masked_fill((torch.arange(17) >= lens.unsqueeze(1)).unsqueeze(2), float("nan"))
    state = search.step(padded, lens, search.init_state(3))
    assert search.finish(state) == wanted
    assert not state.carry.frames.isnan().any()


@settings(max_examples=15)
@given(st.data())
def test_cuts_and_batches_do_not_matter(data):
    subsampling = data.draw(st.sampled_from([1, 2, 4]))
    head = make_head(seed=data.draw(st.integers(0, 5)), output_subsampling=subsampling)
    search = GreedySearch(head, max_symbols=data.draw(st.integers(1, 4)), window=data.draw(st.integers(1, 9)))
    lens = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=4))
    enc = torch.randn(len(lens), max(lens), 6)
    *_, state = states_in_pieces(data, search, enc, lens)
    for row, found in enumerate(search.finish(state)):
        one = search.step(enc[row : row + 1, : lens[row]], torch.tensor([lens[row]]), search.init_state(1))
        same(found, search.finish(one)[0])


@pytest.mark.parametrize("subsampling", [1, 2])
@pytest.mark.parametrize("lens", [torch.tensor([9, 5], dtype=torch.int32), [9, 5]])
def test_lengths_of_any_integer_type(lens, subsampling):
    head, enc = make_head(output_subsampling=subsampling), torch.randn(2, 9, 6)
    for search in (GreedySearch(head), BeamSearch(head, 2)):
        found = search.finish(search.step(enc, lens, search.init_state(2)))
        wanted = search.finish(search.step(enc, torch.tensor([9, 5]), search.init_state(2)))
        assert found == wanted


def test_old_states_stay_as_they_were():
    head = make_head(output_subsampling=2)
    search = GreedySearch(head)
    first = search.step(torch.randn(2, 11, 6), torch.tensor([11, 7]), search.init_state(2))
    before = search.finish(first)
    search.step(torch.randn(2, 9, 6), torch.tensor([9, 9]), first)
    assert search.finish(first) == before


def test_select_reorders_and_restart_keeps_the_clock():
    head = make_head()
    search = GreedySearch(head)
    enc = torch.randn(3, 20, 6)
    state = search.step(enc, torch.tensor([20, 20, 20]), search.init_state(3))
    best = search.best(state)
    assert search.best(state.select([2, 0])) == [best[2], best[0]]
    again = search.restart(state, [1])
    assert search.best(again)[1].tokens == [] and search.best(again)[0] == best[0]
    more = search.finish(search.step(enc, torch.tensor([20, 20, 20]), again))[1]
    assert more.tokens == best[1].tokens
    assert more.frames == [frame + 20 for frame in best[1].frames]


def test_settings_are_checked():
    head = make_head()
    assert isinstance(search_from_dict(None, head), GreedySearch)
    assert search_from_dict({"type": "greedy", "max_symbols": 4}, head).max_symbols == 4
    with pytest.raises(UserError, match="'bean'"):
        search_from_dict({"type": "bean"}, head)
    with pytest.raises(UserError, match="beams"):
        search_from_dict({"type": "greedy", "beams": 4}, head)
    with pytest.raises(UserError, match="max_symbols"):
        GreedySearch(head, max_symbols=0)
