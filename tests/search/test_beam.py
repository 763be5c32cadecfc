"""The batched beam search against the plain one, and against itself cut, batched and picked in other ways."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.cuts import states_in_pieces
from tests.search.reference import beam
from tests.search.test_greedy import make_head, same
from tests.transducer.dp import transducer_nll
from xlsrt.errors import UserError
from xlsrt.search import BeamSearch, GreedySearch, search_from_dict
from xlsrt.search.beam_parts import mixed_key


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize("subsampling", [1, 4])
@pytest.mark.parametrize("blank_bias", [-1.0, 3.0])
@pytest.mark.parametrize("beam_size", [1, 3, 4])
def test_equals_the_plain_search(predictor, subsampling, blank_bias, beam_size):
    head = make_head(predictor=predictor, output_subsampling=subsampling, blank_bias=blank_bias)
    lens = [19, 0, 1, 12]
    enc = torch.randn(4, 19, 6)
    search = BeamSearch(head, beam_size, max_symbols=3, margin=4.0, window=3)
    state = search.drain(search.step(enc, torch.tensor(lens), search.init_state(4)))
    for found, row, length in zip(search.nbest(state, 9), enc, lens, strict=True):
        wanted = beam(head, row[:length], beam_size, max_symbols=3, margin=4.0)
        assert {tuple(h.tokens): pytest.approx(h.score, abs=1e-4) for h in found} == {
            tokens: score for tokens, (score, _) in wanted.items()
        }
        for hypothesis in found:
            assert tuple(hypothesis.frames) == wanted[tuple(hypothesis.tokens)][1]


def test_a_wide_beam_sums_all_paths():
    """With room for everything a score is the transcript's full probability: every alignment, merged."""
    head = make_head(seed=3, vocab_size=4)
    enc = torch.randn(2, 6)
    search = BeamSearch(head, beam_size=130, max_symbols=2, margin=1e3)  # 121 transcripts of at most 4 tokens
    state = search.step(enc.unsqueeze(0), torch.tensor([2]), search.init_state(1))
    found = {tuple(h.tokens): h.score for h in search.nbest(state, 200)[0]}
    assert len(found) == 121
    frames = head.joint.encoder_projection(enc)
    for tokens in [t for t in found if len(t) <= 2]:
        pred = head.joint.predictor_projection(head.predictor(torch.tensor([tokens]).long()))
        lattice = torch.log_softmax(head.joint(frames.unsqueeze(1), pred).double(), -1)
        assert found[tokens] == pytest.approx(-transducer_nll(lattice, list(tokens), 0).item(), abs=1e-4)


@settings(max_examples=15)
@given(st.data())
def test_cuts_and_batches_do_not_matter(data):
    head = make_head(
        seed=data.draw(st.integers(0, 5)), output_subsampling=data.draw(st.sampled_from([1, 2, 4]))
    )
    search = BeamSearch(
        head, data.draw(st.integers(1, 5)), max_symbols=3, window=data.draw(st.integers(1, 6))
    )
    lens = data.draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    enc = torch.randn(len(lens), max(lens), 6)
    stable = [[]] * len(lens)
    for state in states_in_pieces(data, search, enc, lens):
        known = [h.tokens[:n] for h, n in zip(search.best(state), search.stable(state), strict=True)]
        assert all(new[: len(old)] == old for new, old in zip(known, stable, strict=True))
        stable = known
    ended = search.drain(state)
    for row, found in enumerate(search.nbest(ended, 9)):
        one = search.step(enc[row : row + 1, : lens[row]], torch.tensor([lens[row]]), search.init_state(1))
        wanted = search.nbest(search.drain(one), 9)[0]
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            same(ours, theirs)
        assert found[0].tokens[: len(stable[row])] == stable[row]


def test_finds_at_least_what_greedy_finds():
    gains = []
    for seed in range(8):
        head = make_head(seed=seed, blank_bias=5.0)
        enc, lens = torch.randn(2, 20, 6), torch.tensor([20, 15])
        # Where greedy is stopped by max_symbols it saves a blank: no such stops here.
        greedy, wide = GreedySearch(head, max_symbols=20), BeamSearch(head, 8, max_symbols=20)
        for ours, theirs in zip(
            wide.finish(wide.step(enc, lens, wide.init_state(2))),
            greedy.finish(greedy.step(enc, lens, greedy.init_state(2))),
            strict=True,
        ):
            gains.append(ours.score - theirs.score)
    # Where both find the same, the last digits are the processor's.
    assert min(gains) > -1e-4 and sum(gain > 0.1 for gain in gains) >= 10


def test_restart_and_select():
    head = make_head()
    search = BeamSearch(head)
    enc, lens = torch.randn(3, 20, 6), torch.tensor([20, 20, 20])
    state = search.step(enc, lens, search.init_state(3))
    best = search.best(state)
    assert search.best(state.select([2, 0])) == [best[2], best[0]]
    again = search.restart(state, [1])
    assert search.best(again)[1].tokens == [] and search.best(again)[0] == best[0]
    more = search.finish(search.step(enc, lens, again))[1]
    assert (more.tokens, more.frames) == (best[1].tokens, [frame + 20 for frame in best[1].frames])
    assert search.best(state) == best


def test_fingerprints_tell_transcripts_apart():
    keys = {0: ()}
    level = [(torch.tensor(0), ())]
    for _ in range(5):
        level = [
            (mixed_key(key, torch.tensor(t)), (*tokens, t)) for key, tokens in level for t in range(1, 6)
        ]
        for key, tokens in level:
            assert keys.setdefault(int(key), tokens) == tokens


def test_settings_are_checked():
    head = make_head()
    search = search_from_dict({"type": "beam", "beam_size": 3, "margin": 2.5}, head)
    assert isinstance(search, BeamSearch) and (search.beam_size, search.margin) == (3, 2.5)
    with pytest.raises(UserError, match="beam_size"):
        BeamSearch(head, beam_size=0)
