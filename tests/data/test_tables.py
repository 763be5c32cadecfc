from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlsrt.data.tables import load_table, outer_join, read_table, sorted_table, write_table
from xlsrt.errors import UserError
from xlsrt.files import atomic_open


def test_blanks_tabs_windows_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffa  one two\r\nb\tdrei\u00a0vier \r\nc\r\n".encode())
    assert list(read_table(path)) == [("a", "one two"), ("b", "drei\u00a0vier"), ("c", "")]


def test_not_utf8_names_file_line_utterance_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a fine\nutt-2 caf\xe9\n")
    with pytest.raises(UserError, match=r"text:2: utterance 'utt-2': byte 0xe9 at column 10 .*iconv"):
        list(read_table(path))


def test_duplicate_unsorted_empty_and_missing(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a x\na y\n")
    with pytest.raises(UserError, match="duplicate utterance 'a'"):
        list(sorted_table(path))
    with pytest.raises(UserError, match="duplicate utterance 'a'"):
        load_table(path)
    path.write_text("a x\nb x\na x\nb x\n")
    with pytest.raises(UserError, match="duplicate utterance 'a'"):
        list(sorted_table(path))
    path.write_text("b x\na y\n")
    with pytest.raises(UserError, match=r"'a' after 'b': not sorted; run `utils/fix_data_dir.sh"):
        list(sorted_table(path))
    path.write_text("b x\n\n")
    with pytest.raises(UserError, match="text:2: the line is empty"):
        list(read_table(path))
    with pytest.raises(UserError, match="nothing: cannot be read"):
        list(read_table(tmp_path / "nothing"))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a old\n")

    def rows():
        yield "a", "new"
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_table(path, rows())
    assert path.read_text() == "a old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["text"]
    with atomic_open(tmp_path / "deep" / "er" / "file", "wb") as stream:
        stream.write(b"x")
    assert (tmp_path / "deep" / "er" / "file").read_bytes() == b"x"


keys = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=4)
tables = st.dictionaries(keys, st.sampled_from(["", "x", "y z"]), max_size=8)


@given(tables, tables, tables)
def test_outer_join_equals_dictionaries(a: dict[str, str], b: dict[str, str], c: dict[str, str]) -> None:
    named = {"a": a, "b": b, "c": c}
    joined = list(outer_join({name: sorted(table.items()) for name, table in named.items()}))
    assert [key for key, _ in joined] == sorted(a.keys() | b.keys() | c.keys())
    for key, row in joined:
        assert row == {name: table[key] for name, table in named.items() if key in table}


@given(st.sets(keys))
def test_our_order_is_that_of_the_c_locale(words: set[str]) -> None:
    assert sorted(words) == [raw.decode() for raw in sorted(word.encode() for word in words)]
