"""The files below a folder, also those that links to folders lead to."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterator
from pathlib import Path


def files_below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """Paths of all files at any depth whose names match a pattern such as ``*.wav``, sorted.

    Links to folders are followed, since corpora are often put together from several disks. Each folder counts
    once, at its own place if that is below ``folder`` too: links that lead upwards end, and no recording is
    there twice. Memory holds all folders, and the names in those above the present file.
    """
    top, places = str(folder), _places(str(folder))
    return _files(top, places, pattern) if top in places else iter(())


def _places(top: str) -> set[str]:
    """Where the folders lie that count, the top one included."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [top]
    while waiting:
        links: list[str] = []  # looked at when all folders at their own places have been
        for start in waiting:
            for place, folders, _ in os.walk(start):
                real = os.path.realpath(place)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                found.add(place)
                paths = (os.path.join(place, name) for name in folders)
                links += filter(os.path.islink, paths)  # os.walk lists them and stops there
        waiting = sorted(links)
    return found


def _files(place: str, places: Collection[str], pattern: str) -> Iterator[Path]:
    with os.scandir(place) as entries:
        names = sorted((entry.name, _is_folder(entry)) for entry in entries)
    for name, is_folder in names:
        path = os.path.join(place, name)
        if not is_folder and fnmatch.fnmatchcase(name, pattern):
            yield Path(path)
        elif path in places:
            yield from _files(path, places, pattern)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
