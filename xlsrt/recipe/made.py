"""Which tables a step has made: stage 1 must not replace sets of the user's own, or changed since.

A set that is not asked for may lie beside those of a corpus, so its tables are kept while the corpus's script
runs, below .kept beside the marker, and stay there if the script has replaced them.
"""

from __future__ import annotations

import contextlib
import filecmp
import glob
import itertools
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.files import naming
from xlsrt.recipe.markers import file_digest, read_marker, write_marker

# Keys of the marker: digests of the tables that the step made, as it left them; of those that were there when
# it began, while it runs; the program that came to its end; while it runs, the folder of copies of what an
# earlier version has made, which left no digests.
_MADE, _BEGAN, _BY, _EARLIER = "made", "began", "by", "earlier"
# A set's other files are not what a script replaces, and may be audio.
_TABLE_SUFFIXES = ("", ".scp", ".ctm", ".stm")


def tables(marker: Path) -> Collection[str] | None:
    """The tables that the step has made, as far as its marker says."""
    made = read_marker(marker).get(_MADE)
    return made if isinstance(made, (dict, list)) else None  # a list: of an earlier version


def begin(marker: Path, makes: str, asked: Collection[str], program: str, again: bool) -> None:
    """Undo the marker, but for what it says of tables; keep copies of tables that may be the user's.

    Args:
        makes: pattern of the tables. asked: those that will be missed if they are not made.
        program: that makes them. What it left out the last time it will hardly make now.
        again: whether it has begun before: a missing marker is then a deleted one or an earlier version's.

    Raises:
        UserError: a table is there that may be replaced and is not as the step made it, or has been replaced.
    """
    kept = marker.with_name(".kept")
    _settle_kept(kept)
    known, there = read_marker(marker), _digests(makes)
    earlier = not isinstance(known.get(_MADE), dict) and (again or "fingerprint" in known)
    if earlier:
        known[_MADE] = {path: digest for path, digest in there.items() if path in asked}
    elif not known:  # before anything is refused: without a marker the next time would be again
        write_marker(marker, {_MADE: {}})
    made = _made(known, there)
    for path, digest in there.items():
        if path in made and made[path] != digest:
            raise not_ours(Path(path).parent, "it has been changed since stage 1 made it")
        if path not in made and path in asked and known.get(_BY) != program:
            raise not_ours(Path(path).parent)
    _keep((path for path in there if path not in made), kept)
    if earlier:
        names = (f".earlier_{number}" for number in itertools.count(1))
        known[_EARLIER] = next(name for name in names if not marker.with_name(name).exists())
        _keep(made, marker.with_name(known[_EARLIER]))
    write_marker(marker, _during(known) | {_MADE: made, _BEGAN: there})


def end(marker: Path, makes: str, program: str, well: bool) -> None:
    """Note what the program made, also where it failed."""
    begun = read_marker(marker)
    by = program if well else begun.get(_BY)
    write_marker(marker, _during(begun) | {_MADE: _made(begun, _digests(makes)), _BY: by})


def settle(marker: Path) -> list[str]:
    """After `end`: drop copies of what is as it was; returns the other ones of what an earlier version made.

    Raises:
        UserError: tables that the step had not made have been replaced; their copies stay.
    """
    _settle_kept(marker.with_name(".kept"))
    known = read_marker(marker)
    changed = []
    if name := known.pop(_EARLIER, None):
        changed = [str(copy) for _, copy in _drop_equal(marker.with_name(name))]
        write_marker(marker, known)
    return changed


def not_ours(folder: Path, why: str = "stage 1 did not make it") -> UserError:
    """What to say of a set that stage 1 would replace."""
    return UserError(
        f"{folder} is there, and {why}: add --corpus none to train on it, or move it away if it should be "
        "made from the corpus"
    )


def _settle_kept(kept: Path) -> None:
    for folder, copy in _drop_equal(kept):
        raise UserError(
            f"{folder} has changed while stage 1 ran, which is not known to have made it: what it was "
            f"is in {copy}: move that to a folder of another name, or put it back and add --corpus none"
        )


def _keep(tables: Iterable[str], kept: Path) -> None:
    """Copies, not links: a script may write into the files that are there."""
    for folder in (Path(path).parent for path in tables):
        unfinished = kept / ".tmp"
        shutil.rmtree(unfinished, ignore_errors=True)
        with naming(kept / folder.name):
            unfinished.mkdir(parents=True)
            for file in folder.iterdir():
                if file.is_file() and file.suffix in _TABLE_SUFFIXES:
                    shutil.copy2(file, unfinished / file.name)
            unfinished.rename(kept / folder.name)


def _drop_equal(kept: Path) -> list[tuple[Path, Path]]:
    """Delete the copies of sets that are as they were; the other sets, each with its copy."""
    shutil.rmtree(kept / ".tmp", ignore_errors=True)
    changed = []
    for copy in sorted(kept.glob("*/")):
        folder = kept.parent / copy.name
        if all(_equal(file, folder / file.name) for file in copy.iterdir()):
            shutil.rmtree(copy)
        else:
            changed.append((folder, copy))
    with contextlib.suppress(OSError):  # it is not there, or not empty
        kept.rmdir()
    return changed


def _equal(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _during(known: Mapping[str, Any]) -> dict[str, Any]:
    """What stays in the marker of what it said."""
    return {_BY: known.get(_BY)} | {key: known[key] for key in (_EARLIER,) if key in known}


def _made(known: Mapping[str, Any], there: Mapping[str, str]) -> dict[str, str]:
    """Of the tables that are there those that the step made, as it left them, by what its marker says.

    What has changed since it began it has made, also where it was killed.
    """
    began = known.get(_BEGAN, there)
    changed = {path: digest for path, digest in there.items() if began.get(path) != digest}
    return {path: digest for path, digest in known.get(_MADE, {}).items() if path in there} | changed


def _digests(makes: str) -> dict[str, str]:
    return {path: file_digest(Path(path)) for path in sorted(glob.glob(makes))}
