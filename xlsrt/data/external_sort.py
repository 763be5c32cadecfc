"""Sort more rows than memory holds: sorted runs on disk, merged as a stream."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import IO

from xlsrt.files import naming

Fields = list[str | None]

_RUN = 100_000


class ExternalSorter:
    """Rows of a key and fields, added in any order, read back in the order of their keys.

    Equal keys stay in the order in which they came.

    Args:
        prefix: path of the files of the runs, without their numbers; the caller removes their folder.
        run: rows that are held in memory; None: 100,000.
    """

    def __init__(self, prefix: Path, run: int | None = None) -> None:
        self._prefix, self._run = prefix, run or _RUN
        self._rows: list[tuple[str, str]] = []
        self._files: list[Path] = []

    def add(self, key: str, fields: Fields) -> None:
        self._rows.append((key, json.dumps(fields, ensure_ascii=False)))
        if len(self._rows) >= self._run:
            self._spill()

    def _spill(self) -> None:
        self._rows.sort(key=itemgetter(0))
        path = self._prefix.with_name(f"{self._prefix.name}.{len(self._files)}")
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{key}\t{fields}\n" for key, fields in self._rows)
        self._files.append(path)
        self._rows = []

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        self._rows.sort(key=itemgetter(0))
        with ExitStack() as stack:
            runs = [
                _read(stack.enter_context(open(path, encoding="utf-8", newline="\n"))) for path in self._files
            ]
            for key, fields in heapq.merge(*runs, iter(self._rows), key=itemgetter(0)):
                yield key, json.loads(fields)


@contextmanager
def sorter(folder: Path) -> Iterator[ExternalSorter]:
    """A sorter whose runs lie in a folder of their own within ``folder``, which goes with the block.

    Raises:
        UserError: ``folder`` cannot be made or written to, or its disk is full.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".runs", dir=folder) as runs:
            yield ExternalSorter(Path(runs) / "rows")


def write_groups(stream: IO[str], rows: Iterable[Fields]) -> None:
    """``group member member ...`` lines of [group, member] rows, of which those of a group come together."""
    last = None
    for group, member in rows:
        stream.write(f" {member}" if group == last else f"{'' if last is None else chr(10)}{group} {member}")
        last = group
    if last is not None:
        stream.write("\n")


def _read(stream: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in stream:
        key, _, fields = line.partition("\t")
        yield key, fields
