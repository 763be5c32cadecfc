"""Memory of the readers of users' own data does not grow with their tables, and what they write stays."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path

import pytest

from tests.data.reading import prepare, sound, table
from xlsrt.data import external_sort, folder, own_data, set_writer
from xlsrt.data.external_sort import ExternalSorter
from xlsrt.data.kaldi import DataDir, write_spk2utt
from xlsrt.errors import UserError


def clips(root: Path, count: int) -> list[str]:
    """Names of so many recordings, all of them one file."""
    one = sound(root / "one.flac")
    (root / "clips").mkdir()
    names = [f"clips/{number:06d}.flac" for number in range(count)]
    for name in names:
        os.symlink(one, root / name)
    return names


def kaldi(root: Path, count: int) -> Path:
    rows = [(f"spk{n // 10:06d}-{n:06d}", name) for n, name in enumerate(clips(root, count))]
    for table_name, value in (("wav.scp", f"{root}/{{}}"), ("text", "some words"), ("utt2spk", "")):
        lines = (f"{utt} {value.format(name) or utt[:9]}\n" for utt, name in rows)
        (root / table_name).write_text("".join(lines))
    return root


def test_memory_does_not_grow_with_a_kaldi_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "_RUN", 500)
    peaks = []
    for count in (100, 1000, 3000):  # the first for what is imported
        root = tmp_path / f"{count}"
        root.mkdir()
        source = kaldi(root, count)
        tracemalloc.start()
        try:
            prepare("kaldi", source, tmp_path / f"data{count}")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / 2000 < 50, "bytes for each utterance"


def test_recordings_that_are_forgotten_are_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = clips(tmp_path, 4)
    (tmp_path / names[3]).unlink()
    rows = (f"{names[n % 4]},some words,ann,0.{n // 4},{0.3 + n % 3}\n" for n in range(12))
    (tmp_path / "list.csv").write_text("path,text,speaker,start,end\n" + "".join(rows))
    made = []
    for most in (10, 1):
        monkeypatch.setattr(set_writer, "RECORDINGS", most)
        monkeypatch.setattr(own_data, "RECORDINGS", most)
        out = prepare("manifest", tmp_path / "list.csv", tmp_path / f"data{most}", "--test_share", 0)
        made.append({str(path.relative_to(out)): path.read_text() for path in out.rglob("*/*")})
    assert made[0] == made[1] and "ends after its recording" in made[0]["train/dropped"]
    assert "no such audio file" in made[0]["train/dropped"]


def test_of_a_folder_few_files_are_held_at_a_time(tmp_path: Path) -> None:
    for number in range(1000):
        place = tmp_path / f"spk{number // 10:03d}"
        place.mkdir(exist_ok=True)
        (place / f"{number:04d}.flac").touch()
        (place / f"{number:04d}.txt").write_text("some words")
    most = 0
    for number, _ in enumerate(folder.read(tmp_path)):
        if number % 100 == 50:
            # Of this folder: the process has paths of its own, and lazy classes that resent a look.
            held = [one for one in gc.get_objects() if type(one) is type(tmp_path)]
            most = max(most, sum(str(one).startswith(str(tmp_path)) for one in held))
    assert number == 999 and 0 < most < 1000


def test_tables_out_of_order_and_twice_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "_RUN", 2)
    source = kaldi(tmp_path, 30)
    tables = {name: (source / name).read_text().splitlines() for name in ("wav.scp", "text", "utt2spk")}
    for name, lines in tables.items():
        (source / name).write_text("\n".join(lines[::-1]) + "\n")
    made = prepare("kaldi", source, tmp_path / "data", "--set_name", "train") / "train"
    assert {name: (made / name).read_text().splitlines() for name in tables} == tables
    spoken = [[line.split()[0] for line in tables["text"][n : n + 10]] for n in (0, 10, 20)]
    assert table(made / "spk2utt") == {f"spk{n:06d}": " ".join(utts) for n, utts in enumerate(spoken)}
    assert sorted(path.name for path in made.iterdir()) == ["spk2utt", *sorted(tables)]
    with (source / "text").open("a") as stream:
        stream.write(tables["text"][3] + "\n")
    with pytest.raises(UserError, match=rf"text: duplicate utterance '{tables['text'][3].split()[0]}'"):
        prepare("kaldi", source, tmp_path / "data", "--set_name", "train")


def test_spk2utt_of_a_table_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "_RUN", 2)
    (tmp_path / "utt2spk").write_text("b-2 b\na-1 a\nb-1 b\na+1 a\nc-1 a+\nz\n")
    write_spk2utt(tmp_path)
    assert (tmp_path / "spk2utt").read_text() == " z\na a+1 a-1\na+ c-1\nb b-1 b-2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spk2utt", "utt2spk"]
    assert DataDir(tmp_path).speakers()["b"] == ["b-2", "b-1"]


def test_a_full_disk_under_the_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "utt2spk").write_text("a b\n")
    monkeypatch.setattr(ExternalSorter, "add", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(UserError, match=r"cannot be written \(No space left\): make room there"):
        write_spk2utt(tmp_path)
