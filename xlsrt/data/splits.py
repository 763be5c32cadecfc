"""Spread the lines of a large set over files that are small enough to be held in memory one at a time.

An utterance goes to the split that its name's checksum says, in every file alike: nothing is held in memory,
the files need not be sorted, and each split is a random sample of the set. The layout is that of ESPnet's
``multiple_iterator``: ``<output>/<file name>/split.<i>`` and ``num_splits``.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence
from pathlib import Path

from xlsrt.errors import UserError

# Files that are open at a time.
MOST = 500


def split_of(utterance: str, num_splits: int) -> int:
    """The split of an utterance, from 0."""
    return zlib.crc32(utterance.encode("utf-8")) % num_splits


def split_files(paths: Sequence[Path], num_splits: int, output_dir: Path) -> list[int]:
    """Write the splits of each file; returns how many lines of the first file each split has.

    Args:
        paths: files with an utterance a line, its name first, with different file names.
        num_splits: how many. output_dir: receives a folder for each file.

    Raises:
        UserError: a file is missing or holds too little for so many splits.
    """
    if not 1 <= num_splits <= MOST:
        raise UserError(f"--num_splits {num_splits} is not between 1 and {MOST}")
    counts: list[int] = []
    for path in paths:
        found = _split_one(path, num_splits, output_dir / path.name)
        if min(found) == 0:
            raise UserError(f"{path} has too few utterances for {num_splits} splits; choose fewer")
        counts = counts or found
    return counts


def _split_one(path: Path, num_splits: int, folder: Path) -> list[int]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; the stage that makes it has not been run")
    folder.mkdir(parents=True, exist_ok=True)
    counts = [0] * num_splits
    with contextlib.ExitStack() as stack:
        outputs = [
            stack.enter_context(open(folder / f"split.{number}", "w", encoding="utf-8"))
            for number in range(num_splits)
        ]
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if words := line.split(maxsplit=1):
                    number = split_of(words[0], num_splits)
                    outputs[number].write(line if line.endswith("\n") else line + "\n")
                    counts[number] += 1
    (folder / "num_splits").write_text(f"{num_splits}\n", encoding="utf-8")
    return counts
