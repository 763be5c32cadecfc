from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.bin import train_ngram
from xlsrt.errors import UserError


def test_options(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a one two\nsp0.9-a one two\nsp1.1-a one two\nsp1.1-b two one\n")
    (tmp_path / "more").write_text("m one one one\n")
    (tmp_path / "tokens.txt").write_text(
        "".join(f"{t}\n" for t in ["<blank>", "<unk>", "<space>", *"enotwx", "<sos/eos>"])
    )
    out = tmp_path / "made/lm.arpa"
    words = ["--token_list", tmp_path / "tokens.txt", "--token_type", "char", "--join", "1"]
    words += ["--text", tmp_path / "text"]

    def made(*more: object) -> str:
        train_ngram.main([str(word) for word in (*words, *more)])
        return out.read_text()

    longest = made("--output", out, "--order", "3")
    shorter = made("--output", out, "--order", "3", "--prune", "0", "0", "1")
    assert "ngram 3=" in longest and len(shorter) < len(longest)
    assert "e <space> o" not in longest, "one does not come before another one"
    assert "e <space> o" in made("--output", out, "--order", "3", "--join", "2")
    made(tmp_path / "more", "--output", out, "--order", "3", "--bigram", tmp_path / "pairs.arpa")
    alone = made("--output", out, "--order", "2")
    assert (tmp_path / "pairs.arpa").read_text() == alone, "transcripts alone"
    with pytest.raises(UserError, match="--join 0: give 1 or more"):
        made("--output", out, "--join", "0")
