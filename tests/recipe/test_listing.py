"""Whether audio has changed, told without reading it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xlsrt.bin import run_step
from xlsrt.recipe.listing import audio_is_there, audio_listing, folder_listing


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Of a file, a path from the folder, an archive's entries, a command."""
    (tmp_path / "set").mkdir()
    for name in ("a.wav", "set/b.wav", "c.ark"):
        (tmp_path / name).write_bytes(b"1")
    rows = (f"a\t{tmp_path}/a.wav", "b b.wav", f"c {tmp_path}/c.ark:5", f"d {tmp_path}/c.ark:9", "e sox x |")
    (tmp_path / "set/wav.scp").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "set/wav.scp"


@pytest.mark.parametrize("name", ["a.wav", "set/b.wav", "c.ark"])
def test_audio_that_is_replaced_or_gone_is_noticed(table: Path, tmp_path: Path, name: str) -> None:
    before, path = audio_listing(table), tmp_path / name
    assert before == audio_listing(table) and audio_is_there(table)
    os.utime(path, ns=(1, 1))
    after = audio_listing(table)
    path.write_bytes(b"12")
    os.utime(path, ns=(1, 1))
    assert len({before, after, audio_listing(table)}) == 3
    path.unlink()
    assert not audio_is_there(table) and audio_listing(table) not in (before, after)


def test_empty_lines_and_other_blanks_of_a_table(tmp_path: Path) -> None:
    """The first is for the step that reads it to name, the second belongs to the utterance or the file."""
    for name in ("a.wav", "b\u00a0c.wav"):
        (tmp_path / name).touch()
    table = tmp_path / "wav.scp"
    table.write_text("u\u00a01 a.wav\n\nalone\nu2 b\u00a0c.wav\n", encoding="utf-8")
    before = audio_listing(table)
    assert audio_is_there(table)
    os.utime(tmp_path / "b\u00a0c.wav", ns=(1, 1))
    assert audio_listing(table) != before
    (tmp_path / "a.wav").unlink()
    assert not audio_is_there(table)


def test_files_of_a_folder_that_change_are_noticed(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.wav").touch()
    listings = [folder_listing(tmp_path)]
    os.utime(tmp_path / "3.wav", ns=(1, 1))
    listings.append(folder_listing(tmp_path))
    (tmp_path / "x.wav").symlink_to(tmp_path / "nowhere")
    assert folder_listing(tmp_path) == listings[-1]
    (tmp_path / "9.wav").unlink()
    listings.append(folder_listing(tmp_path))
    assert len(set(listings)) == 3


def test_of_too_many_files_all_names_count_and_some_times(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.wav").touch()
    before = folder_listing(tmp_path, most=5)
    os.utime(tmp_path / "3.wav", ns=(1, 1))
    assert folder_listing(tmp_path, most=5) == before
    os.utime(tmp_path / "4.wav", ns=(1, 1))
    after = folder_listing(tmp_path, most=5)
    (tmp_path / "3.wav").rename(tmp_path / "3a.wav")
    assert len({before, after, folder_listing(tmp_path, most=5)}) == 3


def test_a_step_is_done_again_with_other_audio_or_without_what_it_made(table: Path, tmp_path: Path) -> None:
    """As stage 2 of run.sh asks for it."""
    made, runs = tmp_path / "out.wav", tmp_path / "runs"
    script = f"echo x >> {runs}; touch {made}; echo a {made} > {tmp_path}/dump/wav.scp"
    words = ["--title", "t", "--kind", "format", "--marker", str(tmp_path / "dump/.formatted")]
    words += ["--inputs", str(table), "--audio", str(table), "--outputs", str(tmp_path / "dump/wav.scp")]

    def times() -> int:
        assert run_step.main([*words, "--keeps_audio", "--", "bash", "-c", script]) == 0
        return runs.read_text(encoding="utf-8").count("x")

    assert [times(), times()] == [1, 1]
    (tmp_path / "a.wav").write_bytes(b"12")
    assert [times(), times()] == [2, 2]
    made.unlink()
    assert [times(), times()] == [3, 3] and made.exists()


def test_how_quickly_and_by_whom_is_nothing_to_redo(tmp_path: Path) -> None:
    words = ["--title", "t", "--kind", "data", "--marker", str(tmp_path / ".made"), "--"]
    script = f'echo "$@" >> {tmp_path}/runs'
    for command in (["bash", "-c", script, "x", "--nj", "1"], ["/bin/bash", "-c", script, "x", "--nj", "2"]):
        assert run_step.main([*words, *command]) == 0
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "--nj 1\n"
