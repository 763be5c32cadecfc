"""Reader of a list of recordings: CSV, TSV, JSON lines, or ``path|text|speaker`` lines.

Columns (or keys), in any order: ``path`` and ``text``; and if there are such ``speaker``, ``start``, ``end``
(or ``offset``, ``duration``; all in seconds), ``language``, ``id``, ``set``. Relative paths count from the
list's folder. CSV quotes as spreadsheets do; in the other kinds a quote is a character like any other.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from xlsrt.data.own_data import Entry, add_own_arguments, as_text, make_sets, set_name
from xlsrt.data.tables import decode_line
from xlsrt.data.tsv import read_lines
from xlsrt.errors import UserError

NAME = "manifest"
HELP = "a list of your recordings: CSV, TSV, JSON lines (path, text, speaker ...) or path|text|speaker lines"

# Other toolkits' names of the columns.
_NAMES = {
    "path": ("path", "audio_filepath", "audio_path", "audio", "wav", "file", "filename"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker", "speaker_id", "spk", "client_id"),
    "start": ("start", "offset"),
    "end": ("end",),
    "duration": ("duration",),
    "language": ("language", "lang"),
    "id": ("id", "utt", "utt_id"),
    "set": ("set", "split", "subset"),
}
_KINDS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "jsonl"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser, "one or more lists")
    parser.add_argument(
        "--format",
        choices=("auto", "csv", "tsv", "jsonl", "lines"),
        default="auto",
        help="auto: by the suffix, .csv, .tsv or .jsonl (also with .gz); any other is path|text|speaker "
        "(default: %(default)s)",
    )
    parser.add_argument("--audio_root", help="relative paths count from here (default: the list's folder)")


def prepare(args: argparse.Namespace) -> None:
    make_sets(args, partial(read, kind=args.format, root=args.audio_root))


def read(path: Path, kind: str = "auto", root: str | None = None) -> Iterator[Entry]:
    """The entries of a list. Raises `UserError` where it is none, or has no path or text."""
    if path.is_dir():
        raise UserError(f"--source {path}: is a folder: give a list, or use `prepare_data folder`")
    if kind == "auto":
        suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
        kind = _KINDS.get(suffix.lower(), "lines")
    base = Path(root) if root else path.parent
    rows = {"jsonl": _json_rows, "csv": _csv_rows}.get(kind)
    first = True
    for where, row in rows(path) if rows else _separated(path, "\t" if kind == "tsv" else "|"):
        yield row if isinstance(row, Entry) else _entry(where, row, base, path, first or kind != "jsonl")
        first = False


Rows = Iterator[tuple[str, "Mapping[str, object] | Entry"]]


def _entry(where: str, row: Mapping[str, object], base: Path, path: Path, strict: bool) -> Entry:
    """``strict``: a row without path or text is a mistake in all of them, not in itself."""
    cells: dict[str, str] = {}
    problem: str | None = None
    for name, others in _NAMES.items():
        key = next((other for other in others if other in row), None)
        value = row[key] if key is not None else None
        if isinstance(value, (dict, list)):
            problem = problem or f"malformed: {name} is a structure: {value!r}"
            value = None
        cells[name] = as_text(value)
        if key is None and strict and name in ("path", "text"):
            raise UserError(
                f"{path}: there is no column '{name}', only {', '.join(map(str, row))}: name one of them so, "
                f"or {', '.join(others[1:4])}"
            )
    utt = cells["id"] or None
    if problem:
        return Entry(where, utt=utt, problem=problem)
    times: dict[str, float | None] = {}
    for name in ("start", "end", "duration"):
        try:
            times[name] = float(cells[name]) if cells[name] else None
        except ValueError:
            times[name] = math.nan
        if not math.isfinite(times[name] or 0.0):
            return Entry(where, utt=utt, problem=f"{name} is no number: {cells[name]}")
    start, end = times["start"], times["end"]
    # A duration without a start is that of the file, as NeMo's lists have it.
    if end is None and start is not None and times["duration"] is not None:
        end = start + times["duration"]
    if start is not None and start < 0:
        return Entry(where, utt=utt, problem=f"starts before its recording: {start:g} s")
    if not cells["path"]:
        return Entry(where, utt=utt, problem="no path")
    speaker, language, part = (cells[name] or None for name in ("speaker", "language", "set"))
    part = part and set_name(part)
    return Entry(where, base / cells["path"], cells["text"], speaker, start, end, language, utt, part)


def _json_rows(path: Path) -> Rows:
    for number, raw in read_lines(path):
        where = f"{path.name}:{number}"
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
        except ValueError as error:
            if number == 1:
                raise UserError(f"{path}:1: no JSON line ({error}): each line is an object {{...}}") from None
            yield where, Entry(where, problem=f"no JSON: {error}")
            continue
        yield where, row if isinstance(row, dict) else Entry(where, problem=f"no JSON object: {raw!r}")


def _csv_rows(path: Path) -> Rows:
    # Bytes that are not UTF-8 become halves of characters, which no UTF-8 has: they spoil their row alone.
    lines = (raw.decode("utf-8", "surrogateescape").rstrip("\r\n") + "\n" for _, raw in read_lines(path))
    first = next(lines, "")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            where = f"{path.name}:{reader.line_num + 1}"
            if any("\n" in cell for cell in cells):
                raise UserError(
                    f"{path}: a quote that ends in line {reader.line_num + 1} was opened lines before: write "
                    'a quote within a cell twice (""), or use tab-separated values (.tsv)'
                )
            if not all(map(_is_utf8, cells)):
                yield where, Entry(where, problem="not UTF-8")
            elif cells:
                yield where, _checked(where, names, cells)
    except csv.Error as error:
        raise UserError(
            f"{path}: line {reader.line_num + 1}: {error}: mend its quotes, or use .tsv"
        ) from None


def _separated(path: Path, delimiter: str) -> Rows:
    names: list[str] | None = None
    for number, raw in read_lines(path):
        where = f"{path.name}:{number}"
        if not raw.strip():
            continue
        try:
            cells = [cell.strip() for cell in decode_line(raw, where).split(delimiter)]
        except UserError:
            yield where, Entry(where, problem="not UTF-8")
            continue
        if names is None:
            if delimiter == "|" and len(cells) < 2:
                raise UserError(f"{path}:1: '{cells[0][:60]}' is no line path|text|speaker: see --format")
            if delimiter == "\t" or cells[0].lower() in _NAMES["path"]:
                names = [cell.lower() for cell in cells]
                continue
            names = ["path", "text", "speaker"]
        if delimiter == "|" and len(cells) == 2 and len(names) == 3:
            cells.append("")  # the speaker may be left out
        yield where, _checked(where, names, cells)


def _is_utf8(cell: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in cell)


def _checked(where: str, names: list[str], cells: list[str]) -> Mapping[str, object] | Entry:
    if len(cells) != len(names):
        return Entry(where, problem=f"wrong number of cells: {len(cells)} instead of {len(names)}")
    return dict(zip(names, cells, strict=True))
