from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.data.token_ngram import Tokens, train_token_ngram
from xlsrt.data.tokens import CharTokenizer


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    written = ["<blank>", "<unk>", "<space>", *"enotwx", "<sos/eos>"]
    (tmp_path / "tokens.txt").write_text("".join(f"{token}\n" for token in written))
    return Tokens.read(tmp_path / "tokens.txt", "char")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text("a one two\nsp0.9-a one two\nsp1.1-a one two\nsp1.1-b two one\n")
    return tmp_path / "text"


def test_tokens_of_a_recogniser(tokens: Tokens) -> None:
    assert tokens.known == {"<unk>", "<space>", *"enotwx"}
    assert tokens.between == ("<space>",) and isinstance(tokens.tokenizer, CharTokenizer)


def test_copies_count_once_and_tokens_that_no_sentence_has_are_known(tokens, text, tmp_path, caplog) -> None:
    (tmp_path / "dev").write_text("c one one\n")
    out = tmp_path / "made/lm.arpa"
    with caplog.at_level("INFO"):
        train_token_ngram(tokens, [text], out, order=3, valid_text=tmp_path / "dev")
    assert "2 sentences" in caplog.text and "perplexity" in caplog.text
    grams = out.read_text().splitlines()
    assert any(line.split("\t")[1:2] == ["x"] for line in grams)
    assert sum(line.split("\t")[1:2] == ["o n e"] for line in grams) == 1
    assert not any("e <space> o" in line for line in grams)
    train_token_ngram(tokens, [text], out, order=3, join=2)
    assert "e <space> o" in out.read_text(), "one stands before another one where they are joined"


def test_what_cannot_be_written_is_unknown(tokens: Tokens, text: Path, tmp_path: Path) -> None:
    text.write_text("a zone\n")
    train_token_ngram(tokens, [text], tmp_path / "lm.arpa", order=2)
    pairs = (tmp_path / "lm.arpa").read_text()
    assert "\t<unk> o" in pairs and "z" not in pairs
