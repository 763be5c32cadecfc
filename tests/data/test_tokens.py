from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece

from xlsrt.data.tokens import (
    BpeTokenizer,
    CharTokenizer,
    check_same_vocabulary,
    check_token_model,
    make_tokenizer,
    read_texts,
    read_token_list,
    train_bpe,
    train_char,
)
from xlsrt.errors import UserError

TEXTS = ["one two three four five", "six seven eight nine zero", "hundred thousand", "twenty seven"] * 5


def test_bpe_follows_espnets_conventions(tmp_path: Path) -> None:
    tokens = train_bpe(TEXTS, tmp_path, size=30)
    assert len(tokens) == 30
    assert tokens[:2] == ["<blank>", "<unk>"] and tokens[-1] == "<sos/eos>"
    assert not {"<s>", "</s>"} & set(tokens)
    assert read_token_list(tmp_path / "tokens.txt") == tokens
    check_token_model(tokens, "bpe", tmp_path / "bpe.model")
    pieces = BpeTokenizer(tmp_path / "bpe.model").tokens("three seven")
    assert set(pieces) <= set(tokens) and "".join(pieces).replace("▁", " ").strip() == "three seven"


def test_same_text_same_model(tmp_path: Path) -> None:
    train_bpe(TEXTS, tmp_path / "a", size=30)
    train_bpe(iter(TEXTS), tmp_path / "b", size=30)
    assert (tmp_path / "a" / "bpe.model").read_bytes() == (tmp_path / "b" / "bpe.model").read_bytes()


@pytest.mark.parametrize("text", ["pärast l·lum ÿ", "ɛɔ ŋg αβ", "ﬁ ½"])
def test_text_is_not_normalised_behind_our_back(tmp_path: Path, text: str) -> None:
    train_bpe([text, "some more text to train on"] * 3, tmp_path, size=60, mode="char")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    assert processor.decode(processor.encode(text)) == text


def test_sizes_that_cannot_be_are_told_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"--nbpe 5000 is more than this text gives: use --nbpe (\d+) or less"
    ) as caught:
        train_bpe(TEXTS, tmp_path, size=5000)
    largest = int(str(caught.value).split("use --nbpe ")[1].split()[0])
    assert len(train_bpe(TEXTS, tmp_path, size=largest)) == largest
    with pytest.raises(UserError, match="--nbpe 5 is less than the text has characters: use a larger --nbpe"):
        train_bpe(TEXTS, tmp_path / "small", size=5)
    with pytest.raises(UserError, match="no text"):
        train_bpe([], tmp_path / "none", size=30)
    assert not (tmp_path / "small").exists() and not (tmp_path / "none").exists()


def test_char(tmp_path: Path) -> None:
    tokens = train_char(["ab b", "b"], tmp_path)
    assert tokens == ["<blank>", "<unk>", "b", "<space>", "a", "<sos/eos>"]
    assert read_token_list(tmp_path / "tokens.txt") == tokens
    assert CharTokenizer().tokens("a b") == ["a", "<space>", "b"]
    with pytest.raises(UserError, match="no text"):
        train_char([], tmp_path)


def test_token_lists_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    with pytest.raises(UserError, match=r"tokens.txt: cannot be read .*run the token stage"):
        read_token_list(path)
    path.write_text("a\nb\nc\nd\n")
    with pytest.raises(UserError, match="no token list: it starts with <blank>"):
        read_token_list(path)
    path.write_text("<blank>\n<unk>\na\na\n<sos/eos>\n")
    with pytest.raises(UserError, match="the token 'a' comes twice"):
        read_token_list(path)
    path.write_bytes(b"<blank>\n<unk>\n\xe9\n<sos/eos>\n")
    with pytest.raises(UserError, match="not UTF-8"):
        read_token_list(path)


def test_a_token_model_of_another_vocabulary(tmp_path: Path) -> None:
    ours = train_bpe(TEXTS, tmp_path / "a", size=30)
    theirs = train_bpe(TEXTS, tmp_path / "b", size=32)
    with pytest.raises(UserError, match=r"bpe.model has another vocabulary .*32 tokens against 30"):
        check_token_model(ours, "bpe", tmp_path / "b" / "bpe.model")
    with pytest.raises(
        UserError, match=r"data/tokens.txt has another vocabulary than exp/a.pth .*30 tokens against 32"
    ):
        check_same_vocabulary(ours, theirs, "data/tokens.txt", "exp/a.pth")
    swapped = [*ours[:4], ours[5], ours[4], *ours[6:]]
    with pytest.raises(UserError, match="token 4 is"):
        check_same_vocabulary(ours, swapped, "ours", "theirs")
    check_same_vocabulary(ours, tuple(ours), "ours", "theirs")


def test_models_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such SentencePiece model"):
        BpeTokenizer(tmp_path / "none.model")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        BpeTokenizer(tmp_path / "bad.model")
    with pytest.raises(UserError, match="needs --bpemodel"):
        make_tokenizer("bpe")
    with pytest.raises(UserError, match="choose bpe or char"):
        make_tokenizer("word")
    with pytest.raises(UserError, match="--bpemode wrong"):
        train_bpe(TEXTS, tmp_path, size=30, mode="wrong")


def test_texts_with_an_empty_transcript(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a one\nb\n")
    with pytest.raises(UserError, match="text: utterance 'b' has an empty transcript"):
        list(read_texts([tmp_path / "text"]))
