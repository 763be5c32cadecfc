from __future__ import annotations

import logging
from pathlib import Path

import pytest

from xlsrt.data.shapes import LengthFilter, write_shapes
from xlsrt.data.tables import load_table
from xlsrt.data.tokens import train_bpe, train_char
from xlsrt.errors import UserError

TEXTS = {"s-a": "one two", "s-b": "three", "s-c": "three four one two three"}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "text").write_text("".join(f"{utt} {text}\n" for utt, text in TEXTS.items()))
    (folder / "utt2num_samples").write_text("s-a 16000\ns-b 1500\ns-c 3000\n")
    train_char(TEXTS.values(), tmp_path / "char")
    return folder


def shapes(dump: Path, **bounds) -> int:
    out = dump.parent / "stats"
    return write_shapes(
        dump,
        out,
        token_type="char",
        token_list=dump.parent / "char" / "tokens.txt",
        bounds=LengthFilter(**bounds),
    )


def test_shapes_and_named_drops(dump: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert shapes(dump, min_seconds=0.1) == 1
    stats = dump.parent / "stats"
    vocabulary = len((dump.parent / "char" / "tokens.txt").read_text().splitlines())
    assert (stats / "speech_shape").read_text() == "s-a 16000\n"
    assert (stats / "text_shape.char").read_text() == f"s-a 7,{vocabulary}\n"
    assert (stats / "dropped").read_text() == (
        "s-b shorter than 0.1 s: 0.094 s, 5 tokens\ns-c more tokens than frames: 0.188 s, 24 tokens\n"
    )
    assert "dropped 2 of 3 utterances" in caplog.text


def test_bounds_are_inclusive_and_the_token_rule_can_go(dump: Path) -> None:
    assert shapes(dump, min_seconds=0.0, max_seconds=1.0, tokens_fit=False) == 3
    assert shapes(dump, min_seconds=0.0, max_seconds=0.99, tokens_fit=False) == 2


def test_frames_are_the_encoders() -> None:
    bounds = LengthFilter(min_seconds=0.0)
    # 400 samples give one frame, each further 320 one more.
    assert bounds.reason_to_drop(400 + 320 * 4, 5) is None
    assert bounds.reason_to_drop(400 + 320 * 4 - 1, 5) == "more tokens than frames"


def test_a_set_without_utterances_after_filtering(dump: Path) -> None:
    with pytest.raises(
        UserError, match=r"without utterances after filtering \(3 shorter than 5 s\).*--min_seconds"
    ):
        shapes(dump, min_seconds=5.0)
    assert not (dump.parent / "stats" / "speech_shape").exists()


def test_wrong_bounds_and_incomplete_dumps(dump: Path) -> None:
    with pytest.raises(UserError, match="the first is less"):
        LengthFilter(3.0, 2.0)
    (dump / "utt2num_samples").write_text("s-a 16000\ns-b many\ns-c 3000\n")
    with pytest.raises(UserError, match="'s-b': 'many' is no number"):
        shapes(dump)
    (dump / "utt2num_samples").write_text("s-a 16000\ns-c 3000\n")
    with pytest.raises(UserError, match="utterance 's-b' is missing in utt2num_samples"):
        shapes(dump)
    (dump / "utt2num_samples").unlink()
    with pytest.raises(UserError, match="there is no 'utt2num_samples'"):
        shapes(dump)


def test_bpe_lengths_and_unknown_characters(dump: Path, tmp_path: Path, caplog) -> None:
    tokens = train_bpe([*TEXTS.values()] * 4, tmp_path / "bpe", size=15)
    (dump / "text").write_text("s-a one two\ns-b three\ns-c four öö\n")
    bpe = {"token_type": "bpe", "bpemodel": tmp_path / "bpe" / "bpe.model"}
    (dump / "utt2num_samples").write_text("s-a 16000\ns-b 16000\ns-c 16000\n")
    with caplog.at_level(logging.WARNING):
        write_shapes(dump, tmp_path / "stats", token_list=tmp_path / "bpe" / "tokens.txt", **bpe)
    assert "'ö' 2 times" in caplog.text
    lengths = load_table(tmp_path / "stats" / "text_shape.bpe")
    assert all(value.endswith(f",{len(tokens)}") for value in lengths.values())
    train_bpe([*TEXTS.values()] * 4, tmp_path / "other", size=14)
    with pytest.raises(UserError, match="another vocabulary"):
        write_shapes(dump, tmp_path / "stats", token_list=tmp_path / "other" / "tokens.txt", **bpe)
