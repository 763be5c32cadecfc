"""Tab-separated metadata as corpora publish it: one line a row, quotes are characters like any other."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from xlsrt.data.tables import decode_line
from xlsrt.errors import UserError

BadRow = Callable[[str, str], object]


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line of a file, which may be gzipped; only a line feed ends a line.

    Raises:
        UserError: the file cannot be opened, is UTF-16, or its compressed data are damaged.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for number, raw in enumerate(stream, 1):
                if number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise UserError(
                        f"{path}: is UTF-16, as some spreadsheets save: `iconv -f utf-16 -t utf-8`"
                    )
                yield number, raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: damaged ({error}): fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_tsv(
    path: Path,
    bad_row: BadRow,
    columns: Sequence[str] | None = None,
    need: Sequence[str] = (),
    delimiter: str = "\t",
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ``file:line`` and the cells by column of each row, as a stream.

    Quotes mean nothing: a sentence may begin with one and never close it. Rows with another number of cells
    or with bytes that are not UTF-8 go to ``bad_row(file:line, reason)``.

    Args:
        columns: their names where the file has no header line.
        need: columns without which the file cannot be used.
    Raises:
        UserError: a needed column is not in the header, or `read_lines`' errors.
    """
    names = list(columns) if columns is not None else None
    for number, raw in read_lines(path):
        where = f"{path.name}:{number}"
        if not raw.strip():
            continue
        try:
            cells = decode_line(raw, where).split(delimiter)
        except UserError:
            if names is None:
                raise
            bad_row(where, "not UTF-8")
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
            missing = [name for name in need if name not in names]
            if missing:
                raise UserError(
                    f"{path}: there is no column '{missing[0]}' in its first line, only {', '.join(names)}: "
                    "is it the file as published?"
                )
            continue
        if len(cells) != len(names):
            bad_row(where, f"wrong number of cells: {len(cells)} instead of {len(names)}")
            continue
        yield where, dict(zip(names, cells, strict=True))
