"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xlsrt.errors import UserError
from xlsrt.files import atomic_open, copy_file, link_atomically, remove_leftovers, write_text


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file"
    write_text(path, "old\n")
    with pytest.raises(RuntimeError), atomic_open(path) as stream:
        stream.write("half")
        raise RuntimeError
    assert path.read_text() == "old\n"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_place_that_is_none_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/below: cannot be written .*choose another place"):
        write_text(tmp_path / "file" / "below", "")


def test_an_equal_copy_stays(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"one")
    copy_file(source, target)
    before = target.stat().st_mtime_ns, target.stat().st_ino
    copy_file(source, target)
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == before
    source.write_bytes(b"two")
    copy_file(source, target)
    assert target.read_bytes() == b"two"


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "through\n")
        assert os.read(reader, 100) == b"through\n" and pipe.is_fifo()
    finally:
        os.close(reader)
    said = "from xlsrt.files import write_text; write_text('/dev/stdout', 'said')"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "said"


def test_a_link_moves_in_one_step_and_leftovers_go(tmp_path):
    link = tmp_path / "latest.pth"
    for target in ("1epoch.pth", "2epoch.pth", "2epoch.pth"):
        link_atomically(link, target)
        assert link.readlink().name == target
    (tmp_path / ".3epoch.pth.77.tmp").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["latest.pth"]
