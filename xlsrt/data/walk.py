"""The files below a folder, also those that links to folders lead to."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path


def files_below(folder: Path, pattern: str = "*") -> list[Path]:
    """Paths of all files at any depth whose names match a pattern such as ``*.wav``, sorted.

    Links to folders are followed, since corpora are often put together from several disks. Each folder counts
    once, at its own place if that is below ``folder`` too: links that lead upwards end, and no recording is
    there twice.
    """
    found: list[Path] = []
    seen: set[str] = set()
    waiting = [str(folder)]
    while waiting:
        links: list[str] = []  # looked at when all folders at their own places have been
        for top in waiting:
            for place, folders, names in os.walk(top):
                real = os.path.realpath(place)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                paths = (os.path.join(place, name) for name in folders)
                links += filter(os.path.islink, paths)  # os.walk lists them and stops there
                found += (Path(place, name) for name in fnmatch.filter(names, pattern))
        waiting = sorted(links)
    return sorted(found)
