"""Which tables a step has made: stage 1 must not replace sets of the user's own, or changed since."""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.recipe.markers import file_digest, read_marker, write_marker

# Keys of the marker: digests of the tables that the step made, as it left them; of those that were there when
# it began, while it runs; the program that came to its end.
_MADE, _BEGAN, _BY = "made", "began", "by"


def tables(marker: Path) -> Collection[str] | None:
    """The tables that the step has made, as far as its marker says."""
    made = read_marker(marker).get(_MADE)
    return made if isinstance(made, (dict, list)) else None  # a list: of an earlier version


def begin(marker: Path, makes: str, asked: Collection[str], program: str) -> None:
    """Undo the marker, but for what it says of tables.

    Args:
        makes: pattern of the tables. asked: those that will be missed if they are not made.
        program: that makes them. What it left out the last time it will hardly make now.

    Raises:
        UserError: a table is there that may be replaced and is not as the step made it.
    """
    known, there = read_marker(marker), _digests(makes)
    if "fingerprint" in known and not isinstance(known.get(_MADE), dict):  # an earlier version has no digests
        known[_MADE] = {path: digest for path, digest in there.items() if path in asked}
    made = _made(known, there)
    for path, digest in there.items():
        if path in made and made[path] != digest:
            raise not_ours(Path(path).parent, "it has been changed since stage 1 made it")
        if path not in made and path in asked and known.get(_BY) != program:
            raise not_ours(Path(path).parent)
    write_marker(marker, {_MADE: made, _BEGAN: there, _BY: known.get(_BY)})


def end(marker: Path, makes: str, program: str, well: bool) -> None:
    """Note what the program made, also where it failed."""
    begun = read_marker(marker)
    by = program if well else begun.get(_BY)
    write_marker(marker, {_MADE: _made(begun, _digests(makes)), _BY: by})


def not_ours(folder: Path, why: str = "stage 1 did not make it") -> UserError:
    """What to say of a set that stage 1 would replace."""
    return UserError(
        f"{folder} is there, and {why}: add --corpus none to train on it, or move it away if it should be "
        "made from the corpus"
    )


def _made(known: Mapping[str, Any], there: Mapping[str, str]) -> dict[str, str]:
    """Of the tables that are there those that the step made, as it left them, by what its marker says.

    What has changed since it began it has made, also where it was killed.
    """
    began = known.get(_BEGAN, there)
    changed = {path: digest for path, digest in there.items() if began.get(path) != digest}
    return {path: digest for path, digest in known.get(_MADE, {}).items() if path in there} | changed


def _digests(makes: str) -> dict[str, str]:
    return {path: file_digest(Path(path)) for path in sorted(glob.glob(makes))}
