"""Sound files are there whole or not at all, and a full disk is said."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.data.sound_file import new_sound_file, write_sound
from xlsrt.errors import UserError


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_samples_come_back(tmp_path: Path, suffix: str) -> None:
    samples = np.arange(-500, 500, dtype=np.int16)
    target = tmp_path / "new" / f"a.{suffix}"
    write_sound(target, samples, 16_000)
    assert soundfile.info(target).format == suffix.upper()
    assert (soundfile.read(target, dtype="int16")[0] == samples).all()
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_same_audio_keeps_its_time(tmp_path: Path) -> None:
    target = tmp_path / "a.flac"
    write_sound(target, np.zeros(100, np.int16), 16_000)
    os.utime(target, ns=(1, 2_000_000_000))
    write_sound(target, np.zeros(100, np.int16), 16_000)
    assert target.stat().st_mtime_ns == 2_000_000_000
    write_sound(target, np.ones(100, np.int16), 16_000)
    assert target.stat().st_mtime_ns != 2_000_000_000


def test_an_error_midway_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.flac"
    write_sound(target, np.zeros(100, np.int16), 16_000)
    before = target.read_bytes()
    with pytest.raises(ZeroDivisionError), new_sound_file(target, 16_000) as write:
        write(np.ones(100, np.int16))
        raise ZeroDivisionError
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own, stands for the disk."""
    script = (
        "import sys, resource, numpy as np; from pathlib import Path;"
        "from xlsrt.data.sound_file import write_sound; from xlsrt.errors import UserError;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}));\n"
        "try: write_sound(Path(sys.argv[1]), np.arange(50_000).astype(np.int16), 16_000)\n"
        "except UserError as error: print(error)"
    )
    target = tmp_path / "a.wav"
    done = subprocess.run([sys.executable, "-c", script, str(target)], capture_output=True, text=True)
    assert f"{target}: cannot be written (disk full" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_sound(tmp_path / "file" / "a.flac", np.zeros(10, np.int16), 16_000)
