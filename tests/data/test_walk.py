"""Corpora put together from several disks: folders that are links."""

from __future__ import annotations

from pathlib import Path

from tests.data.reading import prepare, sound, table
from xlsrt.data.ami import _Audio
from xlsrt.data.unlabelled import read
from xlsrt.data.walk import files_below


def test_links_are_followed_and_each_folder_counts_once(tmp_path: Path) -> None:
    disk, source = tmp_path / "disk", tmp_path / "source"
    for path in (disk / "far" / "b.wav", source / "near" / "a.wav", source / "near" / "c.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (source / "link").symlink_to(disk)
    (source / "another").symlink_to(disk / "far")  # is below link too
    (source / "also_near").symlink_to(source / "near")
    (source / "near" / "up").symlink_to(source)
    (disk / "far" / "round").symlink_to(disk)
    (source / "lost").symlink_to(tmp_path / "nothing")
    names = [str(path.relative_to(source)) for path in files_below(source)]
    assert names == ["another/b.wav", "lost", "near/a.wav", "near/c.txt"]
    assert list(files_below(source, "*.txt")) == [source / "near" / "c.txt"]
    (tmp_path / "whole").symlink_to(source)
    assert tmp_path / "whole" / "near" / "a.wav" in files_below(tmp_path / "whole")
    assert list(files_below(tmp_path / "nothing")) == []


def test_readers_see_what_is_behind_links(tmp_path: Path) -> None:
    disk, source = tmp_path / "disk", tmp_path / "source"
    sound(disk / "talk.wav").with_suffix(".txt").write_text("hello")
    sound(disk / "ES2002a.Headset-0.wav").with_suffix(".txt").write_text("there")
    source.mkdir()
    (source / "ann").symlink_to(disk)
    data = prepare("folder", source, tmp_path / "data", "--dev_share", 0, "--test_share", 0)
    assert table(data / "train" / "text") == {"ann-ES2002a.Headset-0": "there", "ann-talk": "hello"}
    assert [one.speaker for one in read(source)] == ["ann", "ann"]
    assert list(_Audio(source, "ihm").files) == ["ES2002a.Headset-0"]
    release = tmp_path / "voxpopuli" / "et"
    release.mkdir(parents=True)
    row = "id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\nv1\tTere\ttere\t5\ttrain\tf\n"
    for part in ("train", "dev", "test"):
        (release / f"asr_{part}.tsv").write_text(row)
        (release / part).mkdir()
        sound(tmp_path / "parts" / part / "v1.wav")
        (release / part / "part_0").symlink_to(tmp_path / "parts" / part)
    data = prepare("voxpopuli", release.parent, tmp_path / "vox")
    assert all(path.endswith("part_0/v1.wav") for path in table(data / "train" / "wav.scp").values())
