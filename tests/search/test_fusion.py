"""Language models and phrases in the beam search: against their definitions, cut and batched."""

from __future__ import annotations

import gzip
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.cuts import states_in_pieces
from tests.search.plain_scores import ARPA, WORDS, parsed, phrase_value, sentence
from tests.search.reference import beam
from tests.search.test_greedy import make_head, same
from xlsrt.errors import UserError
from xlsrt.search import BeamSearch, search_from_dict
from xlsrt.search.fusion import Fusion
from xlsrt.search.ngram import TokenNgram, WordNgram
from xlsrt.search.options import check_search
from xlsrt.search.phrases import PhraseBias
from xlsrt.search.rows import RowCache
from xlsrt.text import TokenModel

TOKENS = TokenModel(["<blank>", "<unk>", "▁a", "▁b", "c", "d", "▁", "▁a▁b", "<sos/eos>"])
PHRASES = [((2, 4), 1.5), ((2, 4, 3), 1.0), ((4, 3, 3, 5), 2.0), ((3,), 0.5)]


def lm_file(folder, text=ARPA, name="lm.arpa"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def walked(scorer, tokens):
    """A transcript's score, token by token, and the state after it."""
    state, total = scorer.init(), 0.0
    for token in tokens:
        total += float(scorer.score(state)[token])
        state = scorer.step(state, token)
    return total, state


@given(st.lists(st.integers(1, 7), max_size=7))
@settings(max_examples=60)
def test_token_ngrams_back_off(tmp_path_factory, tokens):
    lm = TokenNgram(lm_file(tmp_path_factory.mktemp("lm")), TOKENS)
    table, words = parsed(ARPA), [TOKENS.token_list[t] for t in tokens]
    total, state = walked(lm, tokens)
    assert total == pytest.approx(sentence(table, words, 3, end=False), abs=1e-4)
    assert total + lm.final(state) == pytest.approx(sentence(table, words, 3), abs=1e-4)
    assert len(state) <= 2


def test_a_byte_order_mark_says_nothing(tmp_path):
    lm, marked = (TokenNgram(lm_file(tmp_path, mark + ARPA), TOKENS) for mark in ("", "\ufeff"))
    assert walked(lm, [2, 4, 3]) == walked(marked, [2, 4, 3])


def test_tokens_that_the_model_lacks_are_its_unknown_word(tmp_path):
    text = ARPA.replace("ngram 2=6", "ngram 2=8")
    text = text.replace("-0.4\tc zz\n", "-0.4\tc zz\n-0.25\t▁a <unk>\n-0.15\t<unk> c\n")
    text = text.replace("-1.2\t<unk>", "-1.2\t<unk>\t-0.6")
    lm = TokenNgram(lm_file(tmp_path, text), TOKENS)
    lacking, unknown = TOKENS.token_list.index("d"), TOKENS.token_list.index("<unk>")
    rest = [2, 4, 3]
    for tokens in ([2, lacking, 4], [lacking, lacking, 3], [2, 4, lacking, 4, *rest]):
        as_unknown = [unknown if token == lacking else token for token in tokens]
        assert walked(lm, tokens)[0] == pytest.approx(walked(lm, as_unknown)[0])
    state = lm.step(lm.init(), 2)
    assert float(lm.score(state)[lacking]) == pytest.approx((-0.25 - 0.1) * math.log(10), abs=1e-5)
    assert float(lm.score(lm.step((), lacking))[4]) == pytest.approx(-0.15 * math.log(10), abs=1e-5)


@given(st.lists(st.integers(1, 7), max_size=7))
@settings(max_examples=60)
def test_words_count_when_they_are_over(tmp_path_factory, tokens):
    lm = WordNgram(lm_file(tmp_path_factory.mktemp("lm"), WORDS), TOKENS)
    total, state = walked(lm, tokens)
    words = TOKENS.text(tokens).split()
    assert total + lm.final(state) == pytest.approx(sentence(parsed(WORDS), words, 2), abs=1e-4)


def test_words_of_byte_pieces(tmp_path):
    tokens = TokenModel(["<blank>", "▁", "<0xC3>", "<0xA4>", "b", "<sos/eos>"])
    lm = WordNgram(lm_file(tmp_path, WORDS.replace("ac", "äb")), tokens)
    total, state = walked(lm, [1, 2, 3, 4])
    assert total + lm.final(state) == pytest.approx(
        sentence(parsed(WORDS.replace("ac", "äb")), ["äb"], 2), abs=1e-4
    )


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), st.sampled_from([0.5, 1.0, 2.0])
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.integers(1, 4), max_size=10),
)
@settings(max_examples=300)
def test_phrases_are_lent_kept_and_given_back(phrases, tokens):
    bias = PhraseBias(phrases, 6)
    total, state = walked(bias, tokens)
    assert total == pytest.approx(phrase_value(phrases, tokens), abs=1e-5)
    assert total + bias.final(state) == pytest.approx(phrase_value(phrases, tokens, lent=False), abs=1e-5)


def test_a_broken_phrase_changes_nothing():
    bias = PhraseBias([((1, 2, 3), 1.0)], 6)
    assert walked(bias, [1, 2])[0] == pytest.approx(2)
    assert walked(bias, [1, 2, 4])[0] == pytest.approx(0)
    assert walked(bias, [1, 2, 3, 4])[0] == pytest.approx(3)
    assert walked(bias, [1, 1, 2, 3])[0] == pytest.approx(3)


def fused(tmp_path, head, **options):
    parts = [(TokenNgram(lm_file(tmp_path), TOKENS), 0.7), (PhraseBias(PHRASES, 9), 1.0)]
    return BeamSearch(head, fusion=Fusion(parts, 9), **options)


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize("beam_size", [1, 4])
def test_equals_the_plain_search(tmp_path, predictor, beam_size):
    head, table = make_head(predictor=predictor, output_subsampling=2), parsed(ARPA)

    def extra(tokens, end=False):
        words = [TOKENS.token_list[t] for t in tokens]
        lent = phrase_value(PHRASES, tokens, lent=not end)
        return 0.7 * sentence(table, words, 3, end) + lent

    lens, enc = [19, 0, 12], torch.randn(3, 19, 6)
    search = fused(tmp_path, head, beam_size=beam_size, max_symbols=3, margin=4.0, window=3)
    state = search.drain(search.step(enc, torch.tensor(lens), search.init_state(3)))
    longest = 0
    for found, row, length in zip(search.nbest(state, 9), enc, lens, strict=True):
        wanted = beam(head, row[:length], beam_size, max_symbols=3, margin=4.0, extra=extra)
        assert {tuple(h.tokens): pytest.approx(h.score, abs=1e-3) for h in found} == {
            tokens: score + extra(tokens, end=True) - extra(tokens) for tokens, (score, _) in wanted.items()
        }
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        longest = max(longest, *(len(h.tokens) for h in found))
    assert longest > 3


def test_a_bigram_model_is_taken_off(tmp_path):
    """Scores of a search with `lodr` are those of the plain one with both models' definitions."""
    head, table = make_head(), parsed(ARPA)
    pairs = ARPA.split("\\3-grams:")[0].replace("ngram 3=2\n", "").replace("-0.5\t▁a c\t", "-1.5\t▁a c\t")
    bigrams = parsed(pairs)

    def extra(tokens, end=False):
        words = [TOKENS.token_list[t] for t in tokens]
        return 0.7 * sentence(table, words, 3, end) - 0.4 * sentence(bigrams, words, 2, end)

    options = {"lm": str(lm_file(tmp_path)), "lm_weight": 0.7}
    options |= {"lodr": str(lm_file(tmp_path, pairs + "\\end\\\n", "two.arpa")), "lodr_weight": 0.4}
    search = search_from_dict({"type": "beam", "max_symbols": 3, "margin": 4.0, **options}, head, TOKENS)
    enc = torch.randn(1, 15, 6)
    state = search.drain(search.step(enc, torch.tensor([15]), search.init_state(1)))
    wanted = beam(head, enc[0], 4, max_symbols=3, margin=4.0, extra=extra)
    found = search.nbest(state, 9)[0]
    assert {tuple(h.tokens): pytest.approx(h.score, abs=1e-3) for h in found} == {
        tokens: score + extra(tokens, end=True) - extra(tokens) for tokens, (score, _) in wanted.items()
    }
    assert max(len(h.tokens) for h in found) > 2


@given(st.data())
@settings(max_examples=12)
def test_cuts_and_batches_do_not_matter(tmp_path_factory, data):
    head = make_head(seed=data.draw(st.integers(0, 5)), output_subsampling=data.draw(st.sampled_from([1, 2])))
    folder = tmp_path_factory.mktemp("lm")
    search = fused(folder, head, beam_size=3, max_symbols=3, window=data.draw(st.integers(1, 6)))
    alone = fused(folder, head, beam_size=3, max_symbols=3)
    # Rows that are forgotten at once are computed again, and equal.
    search.fusion.row = RowCache(search.fusion._row, max_bytes=1)
    lens = data.draw(st.lists(st.integers(0, 25), min_size=1, max_size=3))
    enc = torch.randn(len(lens), max(lens), 6)
    *_, state = states_in_pieces(data, search, enc, lens)
    for row, found in enumerate(search.nbest(search.drain(state), 9)):
        one = alone.step(enc[row : row + 1, : lens[row]], torch.tensor([lens[row]]), alone.init_state(1))
        wanted = alone.nbest(alone.drain(one), 9)[0]
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            same(ours, theirs)


def test_a_restart_forgets_what_was_said(tmp_path):
    search = fused(tmp_path, make_head())
    enc, lens = torch.randn(2, 20, 6), torch.tensor([20, 20])
    state = search.step(enc, lens, search.init_state(2))
    first = search.best(state)
    again = search.best(search.step(enc, lens, search.restart(state, [1])))[1]
    assert again.tokens == first[1].tokens and again.score == pytest.approx(first[1].score, abs=1e-4)


class Favour:
    """A model of one's own: one token is likely, and the more so the more of it there has been."""

    def init(self):
        return 0

    def score(self, state):
        return torch.nn.functional.one_hot(torch.tensor(3), 9).float() * (2.0 + state)

    def step(self, state, token):
        return state + (token == 3)


def test_any_object_will_do_as_a_model():
    head, enc = make_head(blank_bias=2.0), torch.randn(1, 20, 6)
    counts = []
    for weight in (0.0, 2.0):
        search = search_from_dict({"type": "beam", "lm": Favour(), "lm_weight": weight}, head)
        found = search.finish(search.step(enc, torch.tensor([20]), search.init_state(1)))[0]
        counts.append(found.tokens.count(3))
    assert counts[1] > counts[0]
    with pytest.raises(UserError, match="neither a file nor an object"):
        search_from_dict({"type": "beam", "lm": 3}, head)
    short = Favour()
    short.score = lambda state: torch.zeros(4)
    search = search_from_dict({"type": "beam", "lm": short}, head)
    with pytest.raises(UserError, match=r"Favour.score returned shape \(4,\); give \(9,\)"):
        search.step(enc, torch.tensor([20]), search.init_state(1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=6", "ngram 2=5", r"lm.arpa:23: there are 6 2-grams, but \\data\\ says 5"),
        ("-0.9\t▁b\t-0.2", "-0.9x\t▁b\t-0.2", r"lm.arpa:11: a weight is no number"),
        ("-0.9\t▁b\t-0.2", "0.9\t▁b\t-0.2", r"lm.arpa:11: 0.9 is no logarithm of a probability"),
        ("-0.9\t▁b\t-0.2", "-0.9\t▁b\tinf", r"lm.arpa:11: inf is no back-off weight"),
        ("-0.9\t▁b ▁b", "-0.9\t▁b", r"lm.arpa:20: not a probability, 2 word\(s\)"),
        ("-0.35\t▁a c ▁b", "-0.35\t▁b c ▁b", r"lm.arpa:25: .* first 2 word\(s\) are no 2-gram"),
        ("-0.9\t▁b ▁b", "-0.9\tc ▁b", r"lm.arpa:23: a 2-gram is listed twice"),
        ("\\end\\", "", "ends without"),
        ("\\data\\", "", "has no .data. section"),
        ("\\2-grams:", "\\3-grams:", r"lm.arpa:15: .3-grams: does not follow"),
    ],
)
def test_damaged_models_are_named_with_their_line(tmp_path, old, new, message):
    assert ARPA.count(old) == 1
    with pytest.raises(UserError, match=message):
        TokenNgram(lm_file(tmp_path, ARPA.replace(old, new)), TOKENS)


def test_models_that_do_not_suit_are_refused(tmp_path):
    head = make_head()

    def make(**options):
        return search_from_dict({"type": "beam", **options}, head, TOKENS)

    with pytest.raises(UserError, match=r"of its 3 unigrams 0 are tokens of the model.*lm_unit word"):
        make(lm=str(lm_file(tmp_path, WORDS)))
    mixed = WORDS.replace("-1.4\ta\n", "-1.4\tc\n")  # one of its words is a token
    with pytest.raises(UserError, match=r"of its 3 unigrams 1 are tokens of the model"):
        make(lm=str(lm_file(tmp_path, mixed)))
    with pytest.raises(UserError, match=r"its unigrams are tokens, such as '▁a', no words.*lm_unit token"):
        make(lm=str(lm_file(tmp_path)), lm_unit="word")
    with pytest.raises(UserError, match=r"none\.arpa does not exist"):
        make(lm=str(tmp_path / "none.arpa"))
    (tmp_path / "binary.arpa").write_bytes(b"mmap lm \xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        make(lm=str(tmp_path / "binary.arpa"))
    with pytest.raises(UserError, match="lm_unit is 'pieces'"):
        make(lm=str(lm_file(tmp_path)), lm_unit="pieces")
    with pytest.raises(UserError, match="lm_weight is 'much'"):
        make(lm=str(lm_file(tmp_path)), lm_weight="much")
    with pytest.raises(UserError, match="lodr is for lm, which is not given"):
        make(lodr=str(lm_file(tmp_path)))
    with pytest.raises(UserError, match="lodr_weight is for lodr"):
        make(lm=str(lm_file(tmp_path)), lodr_weight=0.2)
    with pytest.raises(UserError, match=r"the bigram model .*none\.arpa does not exist"):
        make(lm=str(lm_file(tmp_path)), lodr=str(tmp_path / "none.arpa"))
    with pytest.raises(UserError, match="phrase_score is for phrases"):
        make(phrase_score=2.0)
    with pytest.raises(UserError, match=r"greedy has no lm; .* write type: beam too"):
        search_from_dict({"lm": "x"}, head, TOKENS)
    with gzip.open(tmp_path / "lm.arpa.gz", "wt", encoding="utf-8") as stream:
        stream.write(ARPA)
    assert make(lm=str(tmp_path / "lm.arpa.gz")).fusion.parts[0][1] == 0.3
    whole = (tmp_path / "lm.arpa.gz").read_bytes()
    for place in range(20, len(whole), 7):
        (tmp_path / "lm.arpa.gz").write_bytes(
            whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        )
        with pytest.raises(UserError, match=r"lm\.arpa\.gz"):
            make(lm=str(tmp_path / "lm.arpa.gz"))


def test_lists_of_phrases(tmp_path):
    chars = TokenModel(["<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>"], "char")
    head = make_head(vocab_size=7)

    def bias(text, **options):
        path = tmp_path / "phrases.txt"
        path.write_text(text, encoding="utf-8")
        values = {"type": "beam", "phrases": str(path), **options}
        return search_from_dict(values, head, chars).fusion.parts[0][0]

    both = bias("ab\n\na  c\t2.5\r\n", phrase_score=0.5)
    assert walked(both, [3, 4])[0] == pytest.approx(1.0)
    assert walked(both, [3, 2, 5])[0] == pytest.approx(7.5)
    for wrong, said in ((["ab", 42], "42"), (["ab", False], "False"), (5, "5"), ({"ab": 3.0}, "{'ab': 3.0}")):
        with pytest.raises(UserError, match="search: phrases .*" + re.escape(said)):
            check_search({"type": "beam", "phrases": wrong})
    listed = search_from_dict({"type": "beam", "phrases": ["ab"]}, head, chars).fusion.parts[0][0]
    assert walked(listed, [3, 4])[0] == pytest.approx(2.0)
    with pytest.raises(UserError, match=r"phrases.txt:2: the model has no tokens for 'ж☃' in 'bж☃a'"):
        bias("ab\nbж☃a\n")
    with pytest.raises(UserError, match=r"phrases.txt:1: not `phrase` or"):
        bias("ab\tmuch\n")
    with pytest.raises(UserError, match=r"phrases.txt:1: not `phrase` or"):
        bias("ab\t-1\n")
    with pytest.raises(UserError, match="has no phrases"):
        bias("\n \n")
    with pytest.raises(UserError, match="65 tokens are too many"):
        bias("a" * 65)
    with pytest.raises(UserError, match="does not exist"):
        search_from_dict({"type": "beam", "phrases": str(tmp_path / "none")}, head, chars)
    with pytest.raises(UserError, match="phrase_score is 0"):
        bias("ab\n", phrase_score=0)
