"""What readers of corpora in several languages share: finding the languages, filling sets together."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from xlsrt.data.kaldi import Utterance
from xlsrt.data.set_writer import SetWriter, safe_id
from xlsrt.errors import UserError

log = logging.getLogger(__name__)

_CODE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]+)*")


def add_language_arguments(parser: argparse.ArgumentParser, source: str, codes: str) -> None:
    """``--source`` and ``--languages``."""
    parser.add_argument("--source", required=True, help=source)
    parser.add_argument(
        "--languages",
        nargs="+",
        default=[],
        help=f"codes such as {codes} (default: all of the source); of a single folder that has another name, "
        "its code",
    )


def find_languages(
    source: Path,
    table: str,
    wanted: Sequence[str],
    where: str,
    code_of: Callable[[Path], str | None] = lambda folder: None,
) -> dict[str, Path]:
    """Language code to its folder: ``source`` itself, or those below it, that hold ``table``.

    The code is what ``code_of(folder)`` reads in the folder, else the folder's name. A single folder whose
    name is no code, and in which none can be read, takes the one that is wanted.

    Raises:
        UserError: nothing there, or a wanted language is not, or two folders are of one language; ``where``
            says how to get it.
    """
    if not source.is_dir():
        raise UserError(f"--source {source}: no such folder: {where}")
    folders = [source] if (source / table).is_file() else []
    for pattern in (f"*/{table}", f"*/*/{table}"):
        folders = folders or [path.parent for path in sorted(source.glob(pattern))]
    if not folders:
        raise UserError(f"--source {source}: neither {table} nor <language>/{table} is in it: {where}")
    found: dict[str, list[Path]] = {}
    for folder in folders:
        name, read = folder.resolve().name, code_of(folder) or ""
        code = read if _CODE.fullmatch(read) else name
        if code == name and len(folders) == len(wanted) == 1 and not _CODE.fullmatch(name):
            code = wanted[0]
        if code != name:
            log.info("%s: its language is %s", folder, code)
        found.setdefault(code, []).append(folder)
    return choose_languages(found, wanted, str(source))


def choose_languages(found: dict[str, list[Path]], wanted: Sequence[str], source: str) -> dict[str, Path]:
    """The folder of each wanted language, of all where none is named.

    Raises:
        UserError: one is not in the source, or has two folders.
    """
    for language in wanted or found:
        if language not in found:
            raise UserError(
                f"--languages {language}: not in {source}, which has {', '.join(found)}: fetch or omit it"
            )
        if len(found[language]) > 1:
            raise UserError(
                f"--source: {' and '.join(map(str, found[language]))} are both {language}: give one"
            )
    return {language: found[language][0] for language in wanted or found}


@dataclass(frozen=True)
class Sink:
    """Where the rows of a language go: one set, or that of all languages and one of its own."""

    language: str
    sets: tuple[SetWriter, ...]

    def add(self, utt: str, speaker: str, text: str, wav: Path) -> None:
        """Names get the language in front."""
        row = Utterance(
            safe_id(f"{self.language}-{utt}"),
            safe_id(f"{self.language}-{speaker}"),
            text,
            str(wav.absolute()),
            extras={"utt2lang": self.language},
        )
        for one in self.sets:
            one.add(row)

    def drop(self, key: str, reason: str) -> None:
        for one in self.sets:
            one.drop(f"{self.language}-{key}", reason)


ReadTable = Callable[[Path, str, Sink], None]


def fill_sets(
    output: Path,
    folders: dict[str, Path],
    read: ReadTable,
    where: str,
    parts: Sequence[str] = ("test", "dev", "train"),
) -> None:
    """Make ``<output>/<part>`` of all languages, and ``test_<language>`` where there are several.

    ``read(folder, part, sink)`` is called for each part and language, parts outermost.
    """
    with ExitStack() as stack:
        for part in parts:
            whole = stack.enter_context(SetWriter(output / part, where))
            for language, folder in folders.items():
                sets = [whole]
                if part == "test" and len(folders) > 1:
                    name = f"test_{safe_id(language)}"
                    # A small language has no test set of its own; the others' are wanted all the same.
                    sets.append(stack.enter_context(SetWriter(output / name, where, needed=False)))
                log.info("%s: %s", folder, part)
                read(folder, part, Sink(language, tuple(sets)))


def need_table(path: Path, where: str) -> Path:
    """The path of a table. Raises `UserError` where it is missing."""
    if not path.is_file():
        raise UserError(f"{path}: no such file, the corpus is incomplete: {where}")
    return path
