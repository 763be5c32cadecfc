"""Audio of many utterances in few files: FLAC in Kaldi archives, as kaldiio and ESPnet read them.

``audio/data.0000.ark``, ``data.0001.ark`` ... each hold a range of the set in its order, so that reading the
set or a part of it goes through few files from end to end.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from xlsrt.errors import UserError
from xlsrt.files import atomic_open

FORMAT = "flac.ark"
LIMIT = 1 << 30  # bytes, after which the next archive begins
_NAME = re.compile(r"data\.(\d+)\.ark")


class ArkWriter:
    """Appends to archives in a folder; those of earlier runs are never touched, so a kill damages nothing.

    Args:
        folder: of the archives. limit: bytes, after which the next one begins.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit
        self.sizes = {p.name: p.stat().st_size for p in folder.glob("data.*.ark") if _NAME.fullmatch(p.name)}
        self._used: set[str] = set()
        self._stream: BinaryIO | None = None
        self._name = ""

    def holds(self, place: str) -> bool:
        """Whether a place that was written once is still there."""
        name, _, offset = place.partition(":")
        return int(offset) < self.sizes.get(name, 0)

    def add(self, utt: str, path: Path) -> str:
        """Move a file into the archive; returns its place, ``<archive>:<offset>``.

        Raises:
            UserError: it cannot be written.
        """
        try:
            return self._add(utt, path)
        except OSError as error:
            raise UserError(
                f"{self.folder / self._name}: cannot be written ({error.strerror}): free some space there"
            ) from None

    def _add(self, utt: str, path: Path) -> str:
        if self._stream is None or self._stream.tell() > self.limit:
            self.close()
            last = max((int(name.split(".")[1]) for name in [*self.sizes, self._name] if name), default=-1)
            self._name = f"data.{last + 1:04d}.ark"
            self._stream = open(self.folder / self._name, "wb")  # noqa: SIM115
        data = path.read_bytes()
        self._stream.write(f"{utt} ".encode())
        place = f"{self._name}:{self._stream.tell()}"
        width = (len(data).bit_length() + 7) // 8
        self._stream.write(b"AUDIO" + bytes([width]) + len(data).to_bytes(width, "little") + data)
        # Before the journal tells of it.
        self._stream.flush()
        path.unlink()
        return place

    def use(self, place: str) -> str:
        """The value of wav.scp for a place, which is then not tidied away."""
        self._used.add(place.partition(":")[0])
        return f"{self.folder}/{place}"

    def tidy(self) -> None:
        """Remove archives that nothing was used of."""
        for name in self.sizes.keys() - self._used:
            (self.folder / name).unlink()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def read_format(dump: Path) -> str:
    """What lies in a set's file ``audio_format``; "" where it has none: plain files."""
    path = dump / "audio_format"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def write_format(dump: Path, audio_format: str) -> None:
    """The file ``audio_format`` of ESPnet's dumps, where audio is not plain files: training must know."""
    if audio_format == FORMAT:
        with atomic_open(dump / "audio_format") as stream:
            stream.write(audio_format + "\n")
    else:
        (dump / "audio_format").unlink(missing_ok=True)
