"""Sets written out of order and in pieces, and the list of what was left out."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.reading import dropped, sound, table
from xlsrt.data.external_sort import ExternalSorter
from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.set_writer import SetWriter
from xlsrt.data.tsv import read_lines, read_tsv
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_rows_that_do_not_fit_into_memory_come_back_in_byte_order(tmp_path: Path) -> None:
    keys = [f"{c}{i}" for i in range(50) for c in "azäжZ-"] + ["a1", "a1"]
    random.Random(1).shuffle(keys)
    rows = ExternalSorter(tmp_path / "run", run=7)
    for number, key in enumerate(keys):
        rows.add(key, [str(number), None, 'quo"te\ttab'])
    found = list(rows)
    assert [key for key, _ in found] == sorted(keys, key=str.encode)
    numbers = [int(fields[0] or -1) for key, fields in found if key == "a1"]
    assert len(numbers) == 3 and numbers == sorted(numbers)
    assert all(fields[1:] == [None, 'quo"te\ttab'] for _, fields in found)


def test_a_set_and_what_it_left_out(tmp_path: Path) -> None:
    wav = sound(tmp_path / "a.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    with SetWriter(tmp_path / "set") as out:
        out.add(Utterance("s2-b", "s2", " two\u00a0 words ", str(wav), extras={"utt2lang": "et"}))
        out.add(Utterance("s1-a", "s1", "one", str(wav), extras={"utt2lang": "ca"}))
        out.add(Utterance("s2-b", "s2", "again", str(wav)))
        out.add(Utterance("s1-c", "s1", " \t ", str(wav)))
        out.add(Utterance("s1-d", "s1", "no sound", str(tmp_path / "none.wav")))
        out.add(Utterance("s1-e", "s1", "no samples", str(tmp_path / "empty.wav")))
        out.drop("list.tsv:3", "wrong number of cells: 2\ninstead of 3")
    assert validate(tmp_path / "set").num_utterances == 2
    assert (tmp_path / "set" / "text").read_text() == "s1-a one\ns2-b two words\n"
    assert (tmp_path / "set" / "spk2utt").read_text() == "s1 s1-a\ns2 s2-b\n"
    assert table(tmp_path / "set" / "utt2lang") == {"s1-a": "ca", "s2-b": "et"}
    assert dropped(tmp_path / "set") == {
        "s1-c": "empty transcript",
        "s1-d": f"no such audio file: {tmp_path}/none.wav",
        "s1-e": f"the audio file is empty (0 bytes): {tmp_path}/empty.wav",
        "list.tsv:3": "wrong number of cells: 2 instead of 3",
        "s2-b": "duplicate: the id has come before",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "empty.wav", "set"}


def test_segments_and_whole_files_in_one_set(tmp_path: Path) -> None:
    long, short = sound(tmp_path / "long.wav", 2.0), sound(tmp_path / "short.wav")
    with SetWriter(tmp_path / "set") as out:
        out.add(Utterance("z", "z", "whole", str(short)))
        out.add(Utterance("b", "s", "late", str(long), 1.0, 1.5), recording="long")
        out.add(Utterance("a", "s", "early", str(long), 0.25, 1.25), recording="long")
        out.add(Utterance("c", "s", "to the end", str(long), 1.75), recording="long")
        out.add(Utterance("d", "s", "backwards", str(long), 1.75, 1.5), recording="long")
    rows = {row.utt: (row.wav, row.start, row.end) for row in DataDir(tmp_path / "set").utterances()}
    assert rows == {
        "a": (str(long), 0.25, 1.25),
        "b": (str(long), 1.0, 1.5),
        "c": (str(long), 1.75, None),
        "z": (str(short), 0.0, None),
    }
    assert dropped(tmp_path / "set") == {"d": "its segment ends before it begins: 1.75 to 1.5 s"}
    with (
        pytest.raises(UserError, match="recording 'long' is two files"),
        SetWriter(tmp_path / "set") as out,
    ):
        out.add(Utterance("a", "s", "x", str(long), 0.0, 1.0), recording="long")
        out.add(Utterance("b", "s", "x", str(short), 0.0, 0.1), recording="long")
    assert "late" in (tmp_path / "set" / "text").read_text()  # the old set stands


def test_an_empty_set_is_an_error_that_says_why_and_an_old_list_goes(tmp_path: Path) -> None:
    wav = sound(tmp_path / "a.wav")
    with (
        pytest.raises(
            UserError, match=r"no utterance is left .*1 no such audio file.*first: u .*get it there"
        ),
        SetWriter(tmp_path / "set", "get it there") as out,
    ):
        out.add(Utterance("u", "u", "x", str(tmp_path / "b.wav")))
    assert not (tmp_path / "set").exists()
    for text in ("", "word"):
        with SetWriter(tmp_path / "set") as out:
            out.add(Utterance("u", "u", "x", str(wav)))
            out.add(Utterance("v", "v", text, str(wav)))
        assert bool(dropped(tmp_path / "set")) == (not text)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/set: cannot be written .*--output_dir"):
        SetWriter(tmp_path / "file" / "set").__enter__()


def test_quotes_and_line_ends_of_tables_mean_nothing(tmp_path: Path) -> None:
    bad: list[tuple[str, str]] = []
    path = tmp_path / "t.tsv"
    path.write_bytes(
        "\ufeffid\ttext\r\n"
        '1\t"opened and never closed\r\n'
        "2\tsays \"hi\"\u2028there\x85, ''\r\n\r\n"
        "3\ttoo\tmany\r\n4\r\n".encode()
        + b"5\tcaf\xe9\r\n6\tlast"
    )
    rows = dict(read_tsv(path, lambda where, why: bad.append((where, why)), need=("id", "text")))
    assert {where: row["text"] for where, row in rows.items()} == {
        "t.tsv:2": '"opened and never closed',
        "t.tsv:3": "says \"hi\"\u2028there\x85, ''",
        "t.tsv:8": "last",
    }
    assert bad == [
        ("t.tsv:5", "wrong number of cells: 3 instead of 2"),
        ("t.tsv:6", "wrong number of cells: 1 instead of 2"),
        ("t.tsv:7", "not UTF-8"),
    ]
    with pytest.raises(UserError, match="no column 'speaker' in its first line, only id, text"):
        list(read_tsv(path, print, need=("speaker",)))


def test_damaged_gzip_is_named_wherever_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "list.tsv.gz"
    whole = gzip.compress("".join(f"{n}\t{n * n}\tword{n % 7}\n" for n in range(200)).encode(), mtime=0)
    for place in range(20, len(whole), 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"list\.tsv\.gz: (damaged|cannot be read)"):
            list(read_lines(path))


@pytest.mark.parametrize("limit", [2000, 40000])
def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_set(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands in for it: while rows are sorted, and while tables are written."""
    sound(tmp_path / "a.wav")
    rows = "".join(f"{tmp_path}/a.wav|{'word ' * 10}|s{n}\n" for n in range(1000))
    (tmp_path / "list.txt").write_text(rows)
    lines = [
        "import resource",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
        "import xlsrt.data.external_sort as e",
        f"e.ExternalSorter.__init__.__defaults__ = ({50 if limit == 2000 else 100000},)",
        "from xlsrt.bin import run_main",
        "from xlsrt.bin.prepare_data import main",
        f"words = ['manifest', '--source', '{tmp_path}/list.txt', '--output_dir', '{tmp_path}/out']",
        "run_main(lambda: main(words))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "cannot be written (File too large): make room there" in done.stderr
    # Sets that were finished before may stand; the one that failed does not, nor parts of it.
    assert not (tmp_path / "out" / "train").exists() and not list((tmp_path / "out").glob(".*"))
