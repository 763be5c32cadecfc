"""Segments that end after their recording, of which Kaldi cuts off up to half a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.conftest import MakeSet
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.repair import fix
from xlsrt.data.tables import load_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError


@pytest.fixture
def late(make_set: MakeSet) -> Path:
    """A recording of half a second; the last two segments begin or end too late."""
    path = make_set(utts={"s-a": "one", "s-b": "two", "s-c": "three", "s-d": "four"})
    (path / "wav.scp").write_text(f"rec {path}/wavs/s-a.wav\n")
    (path / "segments").write_text("s-a rec 0 0.3\ns-b rec 0.3 0.95\ns-c rec 0.3 1.1\ns-d rec 0.6 0.7\n")
    return path


def test_a_little_is_cut_off_and_more_is_refused(
    late: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match=r"2 problem") as raised:
        validate(late)
    told = str(raised.value)
    assert "segments: utterance 's-c': segment outside its recording: from 0.3 to 1.1 s of 0.500 s" in told
    assert "'s-d'" in told and "utils/fix_data_dir.sh" in told
    assert validate(late, need_audio=False).num_utterances == 4
    assert set(fix(late)) == {"s-c", "s-d"}
    assert validate(late).num_utterances == 2
    format_set(late, tmp_path / "dump", FormatOptions())
    assert load_table(tmp_path / "dump/utt2num_samples") == {"s-a": "4800", "s-b": "3200"}
    assert "1 segments end up to 0.5 s after their recording and were cut there (such as s-b)" in caplog.text


def test_the_tables_length_counts_where_no_header_tells_it(late: Path) -> None:
    (late / "wav.scp").write_text(f"rec cat {late}/wavs/s-a.wav |\n")
    assert validate(late, allow_pipes=True).num_utterances == 4, "nobody knows before it is read"
    (late / "reco2dur").write_text("rec 0.5\n")
    with pytest.raises(UserError, match=r"'s-c': segment outside its recording"):
        validate(late, allow_pipes=True)
    assert set(fix(late, allow_pipes=True)) == {"s-c", "s-d"}


def test_a_table_of_lengths_that_nobody_asks_is_not_read(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "one"})
    (path / "reco2dur").write_text("s-a 0.5\ns-a 0.5\n")
    assert validate(path).num_utterances == 1
