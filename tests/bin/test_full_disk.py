"""A full disk is one line, whichever tool meets it; what was written before stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from xlsrt.bin import run_main
from xlsrt.decoding import outputs
from xlsrt.errors import UserError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(*_: object) -> None:
    raise FULL


def test_of_a_file_that_is_open_the_system_says_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_main(fail)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: a file: cannot be read or written (No space left on device): mend that")


def test_other_errors_of_the_system_keep_their_traceback() -> None:
    def broken() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        run_main(broken)


def test_decoding_names_the_file_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs.append_results(tmp_path, 1, "mark", [])
    file = next(tmp_path.rglob("results.mark.jsonl"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UserError, match=r"results\.mark\.jsonl: cannot be written \(No space left"):
            outputs.append_results(tmp_path, 1, "mark", [])
    assert file.is_file()
    outputs.append_results(tmp_path, 1, "mark", [])
