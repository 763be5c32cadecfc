"""Sort more rows than memory holds: sorted runs on disk, merged as a stream."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path

Fields = list[str | None]

_RUN = 100_000


class ExternalSorter:
    """Rows of a key and fields, added in any order, read back in the order of their keys.

    Equal keys stay in the order in which they came.

    Args:
        prefix: path of the files of the runs, without their numbers; the caller removes their folder.
        run: rows that are held in memory.
    """

    def __init__(self, prefix: Path, run: int = _RUN) -> None:
        self._prefix, self._run = prefix, run
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


def _read(stream: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in stream:
        key, _, fields = line.partition("\t")
        yield key, fields
