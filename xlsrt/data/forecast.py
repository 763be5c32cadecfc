"""About how much audio formatting a set will write, judged by some of its rows: it takes milliseconds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from xlsrt.data import arks
from xlsrt.data.audio import is_formatted
from xlsrt.data.format import ARK_FROM
from xlsrt.data.kaldi import DataDir, is_pipe, parse_segment
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

_ROWS, _SMALL = 50, 5000  # so many rows are looked at, of a table of more than so many bytes
_PCM = 2 * SAMPLE_RATE  # bytes a second
_FLAC = 0.5  # of that, for speech


def audio_bytes(tables: Path, audio_format: str, speeds: Sequence[float]) -> float:
    """Bytes of the dump of a data directory; 0 where nobody knows: there is no set yet, or its audio comes
    from commands or archives.

    Args:
        audio_format: as in `FormatOptions`. speeds: of its copies.
    """
    data = DataDir(tables)
    segmented = data.has("segments")
    table = tables / ("segments" if segmented else "wav.scp")
    if not table.is_file() or not table.stat().st_size:
        return 0.0
    rows, count = _spread(table)
    packs = audio_format == arks.FORMAT or (audio_format == "auto" and count * len(speeds) >= ARK_FROM)
    written = 0.0
    for row in rows:
        length, ready = _segment(row) if segmented else _recording(data, row)
        written += sum(length / speed for speed in speeds if packs or speed != 1.0 or not ready)
    size = _PCM * (1.0 if audio_format == "wav" else _FLAC)
    return size * written / max(1, len(rows)) * count


def _spread(table: Path) -> tuple[list[str], float]:
    """Values of some rows, evenly spread (of a small table of all), and about how many rows there are."""
    size = os.path.getsize(table)
    with open(table, "rb") as stream:
        found = stream.readlines() if size <= _SMALL else []
        for number in range(0 if found else _ROWS):
            stream.seek(size * number // _ROWS)
            stream.readline()  # the rest of a row
            found.append(stream.readline())
    found = [line for line in found if line]
    values = (line.decode("utf-8", "surrogateescape").split(None, 1)[1:] for line in found)
    return ["".join(value).strip() for value in values], size * len(found) / max(1, sum(map(len, found)))


def _segment(value: str) -> tuple[float, bool]:
    """Seconds of a segment, and that it has to be cut out."""
    try:
        _, start, end = parse_segment(value, "")
    except UserError:
        return 0.0, False  # said by the one who reads it
    return (end or start) - start, False


def _recording(data: DataDir, value: str) -> tuple[float, bool]:
    """Seconds of a recording, and whether it stays where it is."""
    if is_pipe(value):
        return 0.0, True
    try:
        info = soundfile.info(data.resolve(value))
    except (soundfile.LibsndfileError, OSError):
        return 0.0, True
    return float(info.duration), is_formatted(info, SAMPLE_RATE)
