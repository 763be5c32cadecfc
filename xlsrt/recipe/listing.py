"""Digests of names, sizes and times of files: whether audio has changed, without reading it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from xlsrt.data.kaldi import archive_place, is_pipe
from xlsrt.data.walk import files_below

_BLANKS = re.compile(r"[ \t]+")  # as in tables: a no-break space belongs to a name

MOST = 100_000
"""Of a folder with more files, the sizes and times of so many, evenly spread, are looked at."""


def folder_listing(folder: Path, most: int = MOST) -> str:
    """Digest of the names of all files in a folder and of sizes and times.

    Looking up 100,000 files takes a second on a local disk and may take a minute over a network, so of more
    than ``most`` only some are: of so large a corpus a file that is replaced by another may go unnoticed, one
    that comes or goes does not.
    """
    files = [str(path) for path in files_below(folder)]
    step = -(-len(files) // most) or 1
    digest = hashlib.sha256()
    for number, path in enumerate(files):
        state = _state(path) if number % step == 0 else ""
        if state is not None:  # a link may lead nowhere
            digest.update(os.fsencode(f"{path} {state}\n"))
    return digest.hexdigest()


def audio_listing(table: Path) -> str:
    """Digest of sizes and times of the files that a wav.scp names; commands are passed over.

    One look at each file: a second for 100,000 on a local disk, and a minute or more where they lie on a busy
    network file system. Recordings that are cut by ``segments``, and archives, count once.
    """
    digest = hashlib.sha256()
    for state in _audio_states(table):
        digest.update(f"{state}\n".encode())
    return digest.hexdigest()


def audio_is_there(table: Path) -> bool:
    """Whether all files are that a wav.scp names; as quick as `audio_listing`."""
    return None not in _audio_states(table)


def _audio_states(table: Path) -> Iterator[str | None]:
    """Of each file once; what is wrong with the table is for the step that reads it to say."""
    seen = set()
    with open(table, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            _, *rest = _BLANKS.split(line.strip(" \t\r\n"), maxsplit=1)
            path = rest[0] if rest else ""
            place = archive_place(path)
            path = place[0] if place else path
            if path and not is_pipe(path) and path not in seen:
                seen.add(path)
                state = _state(path)
                # Where a relative path counts from, unless it is here.
                yield _state(str(table.parent / path)) if state is None else state


def _state(path: str) -> str | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns}"
