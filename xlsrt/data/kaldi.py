"""A Kaldi data directory: its utterances as a stream, and how one is written."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xlsrt.data.external_sort import sorter, write_groups
from xlsrt.data.tables import load_table, outer_join, read_table, sorted_table
from xlsrt.errors import UserError
from xlsrt.files import atomic_open


@dataclass(frozen=True)
class Utterance:
    """One row of a data directory.

    Attributes:
        utt: id, unique in the set.
        speaker: speaker id.
        text: transcript; None where the set has none.
        wav: a file's path, ``archive:offset`` or a command ending in ``|``, as in wav.scp.
        start: seconds into the recording; None: from its beginning.
        end: seconds; None: to its end.
        extras: values of further ``utt2*`` tables by file name, such as ``utt2lang``.
    """

    utt: str
    speaker: str
    text: str | None
    wav: str
    start: float | None = None
    end: float | None = None
    extras: dict[str, str] = field(default_factory=dict)


def is_pipe(value: str) -> bool:
    """Whether a wav.scp value is a command whose output is the audio."""
    return value.rstrip().endswith("|")


def archive_place(value: str) -> tuple[str, int] | None:
    """File and byte of a wav.scp value ``archive.ark:offset``; None for any other."""
    archive, _, offset = value.rpartition(":")
    return (archive, int(offset)) if archive.endswith(".ark") and offset.isdigit() else None


def parse_segment(value: str, where: str) -> tuple[str, float, float | None]:
    """``recording start end`` in seconds; an end of -1 means the end of the recording (None)."""
    fields = value.split()
    if len(fields) == 4:
        raise UserError(
            f"{where}: '{value}' names a channel, and channels are averaged here: store each as a recording "
            "of its own, and leave the fifth column out"
        )
    try:
        recording, start, end = fields[0], float(fields[1]), float(fields[2])
        times_fit = 0 <= start < end < math.inf or (0 <= start < math.inf and end == -1)
        well_formed = len(fields) == 3 and times_fit
    except (IndexError, ValueError):
        well_formed = False
    if not well_formed:
        raise UserError(
            f"{where}: '{value}' is no segment: write `utterance recording start end`, 0 <= start < end"
        )
    return recording, start, None if end == -1 else end


class DataDir:
    """A directory with ``wav.scp``, ``utt2spk`` and perhaps ``text``, ``segments`` and ``utt2*``; all sorted.

    The tables are never held in memory as a whole, except ``wav.scp`` where there are ``segments``.
    """

    RESERVED = frozenset({"utt2spk", "utt2num_samples", "utt2dur", "utt2num_frames", "utt2uniq"})

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def require(self, *names: str) -> None:
        """Raise `UserError` unless the directory holds these files."""
        if not self.path.is_dir():
            raise UserError(
                f"{self.path}: no such data directory: run the earlier stage, or give the right set name"
            )
        for name in names:
            if not self.has(name):
                raise UserError(
                    f"{self.path}: there is no '{name}' in it: a data directory needs {', '.join(names)}"
                )

    def extra_names(self) -> list[str]:
        """Names of the further ``utt2*`` tables that travel with the utterances."""
        names = (p.name for p in self.path.glob("utt2*") if p.is_file())
        return sorted(name for name in names if name not in self.RESERVED)

    def resolve(self, value: str) -> str:
        """The absolute form of a wav.scp path: relative ones count from here, else from the data directory.

        Pipes come back unchanged; a path that is at neither place counts from here.
        """
        if is_pipe(value) or os.path.isabs(value):
            return value
        if not os.path.exists(value) and (self.path / value).exists():
            return os.path.abspath(self.path / value)
        return os.path.abspath(value)

    def speakers(self) -> dict[str, list[str]]:
        """Speaker to utterances, from ``utt2spk``."""
        table: dict[str, list[str]] = {}
        for utt, speaker in read_table(self.path / "utt2spk"):
            table.setdefault(speaker, []).append(utt)
        return table

    def utterances(self, need_text: bool = True, need_wav: bool = True) -> Iterator[Utterance]:
        """Stream the utterances in order.

        Args:
            need_text: whether a missing ``text`` is an error. need_wav: likewise ``wav.scp``, without which
                ``wav`` is "".
        Raises:
            UserError: a file or a row is missing, twice there, not UTF-8 or malformed.
        """
        with_wav = need_wav or self.has("wav.scp")
        self.require(*(["wav.scp"] if with_wav else []), "utt2spk", *(["text"] if need_text else []))
        audio = "segments" if self.has("segments") else "wav.scp"
        names = ["utt2spk", *filter(self.has, (audio, "text"))]
        extras = self.extra_names()
        tables = {name: sorted_table(self.path / name) for name in [*names, *extras]}
        recordings = load_table(self.path / "wav.scp") if audio == "segments" and with_wav else {}
        for utt, row in outer_join(tables):
            for name in names:
                if name not in row:
                    for _ in sorted_table(self.path / name):
                        pass  # a table out of order only seems to lack rows: then this says so
                    has = next(iter(row))
                    raise UserError(
                        f"{self.path}: utterance '{utt}' is in {has} but missing in {name}: add it there, "
                        f"or let `utils/fix_data_dir.sh {self.path}` drop it"
                    )
            start: float | None = None
            end: float | None = None
            wav = row.get(audio, "")
            if audio == "segments":
                recording, start, end = parse_segment(wav, f"{self.path}/segments: utterance '{utt}'")
                if with_wav and recording not in recordings:
                    raise UserError(
                        f"{self.path}/segments: utterance '{utt}': recording '{recording}' is not in "
                        f"wav.scp; add it, or leave it out: `utils/fix_data_dir.sh {self.path}`"
                    )
                wav = recordings.get(recording, "")
            if with_wav and not wav:
                raise UserError(
                    f"{self.path}/wav.scp: '{utt}' has no audio file: write its path after the id"
                )
            if not row["utt2spk"]:
                raise UserError(
                    f"{self.path}/utt2spk: '{utt}' has no speaker: write one after it (the id itself will do)"
                )
            others = {name: row[name] for name in extras if name in row}
            yield Utterance(utt, row["utt2spk"], row.get("text"), wav, start, end, others)


def write_spk2utt(path: str | os.PathLike[str]) -> None:
    """Write ``spk2utt`` from ``utt2spk``; memory holds neither."""
    folder = Path(path)
    with sorter(folder) as rows, atomic_open(folder / "spk2utt") as stream:
        for utt, speaker in read_table(folder / "utt2spk"):
            rows.add(f"{speaker} {utt}", [speaker, utt])
        write_groups(stream, (pair for _, pair in rows))
