"""Settled words: as in the plain search, however the stream is cut; nothing beyond the limit stays open."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.cuts import states_in_pieces
from tests.search.reference import beam
from tests.search.test_greedy import make_head, same
from xlsrt.errors import UserError
from xlsrt.search import BeamSearch, search_from_dict
from xlsrt.search.commit import Commit

SECONDS = 0.16


def test_seconds_become_frames_of_the_joint() -> None:
    assert Commit.from_seconds(2.0, 4) == Commit(horizon=17, period=8)
    assert Commit.from_seconds(0.02, 1) == Commit(horizon=0, period=1)
    with pytest.raises(UserError, match="commit_seconds is 0"):
        Commit.from_seconds(0, 4)
    with pytest.raises(UserError, match="commit_seconds is inf"):
        Commit.from_seconds(float("inf"), 4)
    for value in (0, "soon", True):
        with pytest.raises(UserError, match="search: commit_seconds is"):
            search_from_dict({"type": "beam", "commit_seconds": value}, make_head())
    assert search_from_dict({"type": "beam", "commit_seconds": None}, make_head()).commit is None


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize(("subsampling", "blank_bias"), [(1, 2.0), (2, -1.0)])
def test_equals_the_plain_search(predictor, subsampling, blank_bias) -> None:
    given_up = 0
    for seed in range(3):
        head = make_head(
            seed=seed, predictor=predictor, output_subsampling=subsampling, blank_bias=blank_bias
        )
        lens = [30, 0, 1, 23]
        enc = torch.randn(4, 30, 6)
        found, free = (
            one.nbest(one.drain(one.step(enc, torch.tensor(lens), one.init_state(4))), 9)
            for one in (BeamSearch(head, 4, 3, 4.0, window=3, commit_seconds=s) for s in (SECONDS, None))
        )
        commit = Commit.from_seconds(SECONDS, subsampling)
        for some, row, length in zip(found, enc, lens, strict=True):
            wanted = beam(head, row[:length], 4, max_symbols=3, margin=4.0, commit=commit)
            assert {tuple(h.tokens): pytest.approx(h.score, abs=1e-4) for h in some} == {
                tokens: score for tokens, (score, _) in wanted.items()
            }
            for hypothesis in some:
                assert tuple(hypothesis.frames) == wanted[tuple(hypothesis.tokens)][1]
        given_up += [h.tokens for h in found[0]] != [h.tokens for h in free[0]]
    assert given_up, "nothing was settled here"


@settings(max_examples=15)
@given(st.data())
def test_cuts_do_not_matter_and_old_tokens_are_stable(data) -> None:
    head = make_head(seed=data.draw(st.integers(0, 5)), output_subsampling=data.draw(st.sampled_from([1, 2])))
    search = BeamSearch(
        head,
        data.draw(st.integers(1, 5)),
        max_symbols=3,
        window=data.draw(st.integers(1, 6)),
        commit_seconds=SECONDS,
    )
    lens = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=4))
    enc = torch.randn(len(lens), max(lens), 6)
    size, commit = head.config.output_subsampling, search.commit
    stable_so_far = [0] * len(lens)
    for state in states_in_pieces(data, search, enc, lens):
        ages, counts = state.frames.tolist(), search.stable(state)
        for best, count, before, age in zip(search.best(state), counts, stable_so_far, ages, strict=True):
            assert count >= before
            if age % commit.period == 0:  # what the best hypothesis says is looked at here
                assert count >= sum(frame // size < age - commit.horizon for frame in best.frames)
        stable_so_far = counts
    ended = search.drain(state)
    for row, found in enumerate(search.nbest(ended, 9)):
        one = search.step(enc[row : row + 1, : lens[row]], torch.tensor([lens[row]]), search.init_state(1))
        for ours, theirs in zip(found, search.nbest(search.drain(one), 9)[0], strict=True):
            same(ours, theirs)
