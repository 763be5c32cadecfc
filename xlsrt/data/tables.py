"""Kaldi tables: text files of ``key value`` lines, read as streams and written atomically.

Every error names the file, the line and, where there is one, the utterance. UTF-8 byte order is code point
order, so Python's string comparison is the order of ``LC_ALL=C sort``.
"""

from __future__ import annotations

import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from xlsrt.data.news import counted
from xlsrt.errors import UserError
from xlsrt.files import atomic_open

# Kaldi separates by blanks and tabs alone: a no-break space belongs to the word it stands in.
_BLANKS = re.compile(r"[ \t]+")

Row = tuple[str, str]


def decode_line(raw: bytes, where: str) -> str:
    """One line without its end (Unix or Windows).

    Raises:
        UserError: the bytes are not UTF-8; names ``where``, the line's first word and the byte.
    """
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        words = raw.split(None, 1)
        key = words[0].decode("utf-8", "backslashreplace") if words else ""
        raise UserError(
            f"{where}: utterance '{key}': byte 0x{raw[error.start]:02x} at column {error.start + 1} is not "
            "UTF-8: convert the file first, for example with `iconv -f latin1 -t utf-8`"
        ) from None


def read_table(path: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield ``(key, value)`` of each line in file order; the value is "" where a line holds a key alone.

    Raises:
        UserError: the file is missing, a line is not UTF-8 or is empty.
    """
    try:
        stream = open(path, "rb")  # noqa: SIM115 (closed below; kept out of the with to name a missing file)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): make it, or give the right directory"
        ) from None
    with stream:
        for number, raw in enumerate(stream, 1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            line = decode_line(raw, f"{path}:{number}").strip(" \t")
            if not line:
                raise UserError(f"{path}:{number}: the line is empty: remove it")
            parts = _BLANKS.split(line, maxsplit=1)
            yield parts[0], parts[1] if len(parts) == 2 else ""


def sorted_table(path: str | os.PathLike[str]) -> Iterator[Row]:
    """`read_table` for sorted files.

    Raises:
        UserError: a key comes twice or the keys are not in order.
    """
    last: str | None = None
    for count, (key, value) in enumerate(read_table(path)):
        if last is not None and key <= last:
            if any(other == key for other, _ in itertools.islice(read_table(path), count)):
                raise UserError(f"{path}: duplicate utterance '{key}': give each line an id of its own")
            raise UserError(
                f"{path}: '{key}' after '{last}': not sorted; run `utils/fix_data_dir.sh {Path(path).parent}`"
            )
        last = key
        yield key, value


def load_table(path: str | os.PathLike[str]) -> dict[str, str]:
    """The whole table in memory, in file order.

    Raises:
        UserError: a key comes twice, besides `read_table`'s errors.
    """
    table: dict[str, str] = {}
    for key, value in counted(read_table(path), str(path)):
        if key in table:
            raise UserError(f"{path}: duplicate utterance '{key}': give each line an id of its own")
        table[key] = value
    return table


def inverted(path: str | os.PathLike[str]) -> list[tuple[str, list[str]]]:
    """A table whose values are lists, the other way round: utt2spk gives spk2utt. All of it sorted."""
    table: dict[str, list[str]] = {}
    for key, value in read_table(path):
        for word in value.split():
            table.setdefault(word, []).append(key)
    return [(key, sorted(table[key])) for key in sorted(table)]


def write_table(path: str | os.PathLike[str], rows: Iterable[Row]) -> int:
    """Write rows in the given order, atomically; returns their number."""
    count = 0
    with atomic_open(path) as stream:
        for key, value in rows:
            stream.write(f"{key} {value}\n" if value else f"{key}\n")
            count += 1
    return count


def outer_join(tables: Mapping[str, Iterable[Row]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Walk sorted tables together: each key in order with the values of the tables that hold it. Constant
    memory.
    """

    def tagged(name: str, rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
        for key, value in rows:
            yield key, name, value

    merged = heapq.merge(*(tagged(name, rows) for name, rows in tables.items()))
    current: str | None = None
    values: dict[str, str] = {}
    for key, name, value in merged:
        if key != current:
            if current is not None:
                yield current, values
            current, values = key, {}
        values[name] = value
    if current is not None:
        yield current, values
