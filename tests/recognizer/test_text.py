"""Tokens to text and words, against SentencePiece itself where it has a say."""

from __future__ import annotations

import io
import itertools

import pytest
import sentencepiece

from xlsrt.errors import UserError
from xlsrt.text import TokenModel

LINES = ["the cat sat on the mat", "der Hund bellt, laut!", "любит кошек", "愛してる 東京", "it's 5 o'clock"]


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    path = tmp_path_factory.mktemp("bpe") / "bpe.model"
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 3), model_writer=out, vocab_size=330, byte_fallback=True,
        hard_vocab_limit=False, minloglevel=2, bos_id=-1, eos_id=-1,
    )  # fmt: skip
    path.write_bytes(out.getvalue())
    sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [sp.id_to_piece(i) for i in range(sp.get_piece_size())]
    return TokenModel(["<blank>", *pieces, "<sos/eos>"], "bpe", path), sp


@pytest.mark.parametrize("line", [*LINES, "naïve ☃ schön", "日本 cat", ""])
def test_decoding_equals_sentencepiece(bpe, line):
    model, sp = bpe
    pieces = sp.encode(line, out_type=str)
    ids = model.encode(line)
    assert [model.token_list[i] for i in ids] == pieces
    assert model.text(ids) == sp.decode_pieces(pieces)
    for cut in range(len(ids)):
        assert model.text(ids[:cut]) + model.text(ids[cut:], lead=cut > 0) == line or "\ufffd" in (
            model.text(ids[:cut]) + model.text(ids[cut:])
        )


@pytest.mark.parametrize("line", [*LINES, "naïve ☃ schön"])
def test_words_are_those_of_the_text(bpe, line):
    model, _ = bpe
    ids = model.encode(line)
    frames = [10 * i for i in range(len(ids))]
    words = model.words(ids, frames, [0.5] * len(ids), group=2)
    assert [w.text for w in words] == line.split()
    assert all(w.confidence == pytest.approx(0.5) and w.start < w.end for w in words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(words))


def test_word_times_and_confidence():
    model = TokenModel(["<blank>", "<unk>", "▁he", "llo", "▁you", "▁", "<sos/eos>"])
    words = model.words([5, 2, 3, 4], [3, 5, 9, 50], [0.1, 0.9, 0.4, 0.7])
    assert [(w.text, w.start, w.end) for w in words] == [("hello", 0.1, 0.2), ("you", 1.0, 1.02)]
    assert words[0].confidence == pytest.approx((0.9 * 0.4) ** 0.5)


def test_no_word_ends_after_the_audio():
    model = TokenModel(["<blank>", "<space>", "a", "<sos/eos>"], "char")
    (word,) = model.words([2], [96], [1.0], group=4, limit=97)
    assert (word.start, word.end) == (1.92, 1.94)
    (word,) = model.words([2], [96], [1.0], group=4)
    assert word.end == 2.0


def test_bytes_wait_for_their_character():
    model = TokenModel(["<blank>", "a", "<0xC3>", "<0xA4>"])
    assert model.text([1, 2, 3]) == "aä"
    assert model.whole_characters([1, 2]) == 1
    assert model.whole_characters([1, 2, 3, 1]) == 4
    assert model.text([2]) == "\ufffd"
    assert [w.text for w in model.words([2, 3, 1], [0, 1, 2], [1, 1, 1])] == ["äa"]


def test_characters():
    model = TokenModel(["<blank>", "<unk>", "<space>", "a", "b", "<sos/eos>"], "char")
    assert model.encode("ab b?") == [3, 4, 2, 4, 1]
    assert model.text([3, 4, 2, 4]) == "ab b"
    assert [w.text for w in model.words([3, 4, 2, 4], [0, 1, 2, 3], [1, 1, 1, 1])] == ["ab", "b"]


def test_bad_vocabularies():
    with pytest.raises(UserError, match="phn"):
        TokenModel(["<blank>", "a"], "phn")
    with pytest.raises(UserError, match="<blank>"):
        TokenModel(["a", "b"])
    with pytest.raises(UserError, match=r"nowhere\.model"):
        TokenModel(["<blank>", "a"], "bpe", "nowhere.model").encode("a")
