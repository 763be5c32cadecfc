"""Segments that end after their recording: a little is cut off, as Kaldi does, more is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import soundfile

from xlsrt.data.kaldi import DataDir, is_pipe
from xlsrt.data.tables import load_table

OVERSHOOT_SECONDS = 0.5
"""What a segment may end late, cut to the recording's end: extract-segments --max-overshoot."""

# Others are read to their end to know how long they are.
_CHEAP = (".wav", ".flac", ".sph", ".aiff", ".aif", ".w64")


def is_outside(start: float, end: float | None, length: float) -> bool:
    """Whether a stretch begins after its recording or ends too late to be cut; all in seconds."""
    return start >= length or (end is not None and end > length + OVERSHOOT_SECONDS)


class RecordingLengths:
    """Lengths of a set's recordings: from ``reco2dur``, else from the headers of files that tell it.

    Args:
        wavs, told: the tables ``wav.scp`` and ``reco2dur``, empty where there is none.
    """

    def __init__(self, data: DataDir, wavs: Mapping[str, str], told: Mapping[str, str]) -> None:
        self.data = data
        # By the recordings' values in wav.scp.
        self._known = {wav: _seconds(told.get(name)) for name, wav in wavs.items()} if told else {}

    @classmethod
    def of(cls, data: DataDir) -> RecordingLengths:
        """Those of a set. Raises `UserError` as `load_table`."""
        names = ("wav.scp", "reco2dur")
        has_both = all(map(data.has, names))
        return cls(data, *(load_table(data.path / name) if has_both else {} for name in names))

    def problem(self, wav: str, start: float, end: float | None) -> str | None:
        """Why a stretch in seconds of a recording, named by its value in wav.scp, cannot be cut out of it.

        None also where nobody knows without reading the audio.
        """
        if self._known.get(wav) is None:
            self._known[wav] = self._length(wav)
        length = self._known[wav] or None
        if length is None or not is_outside(start, end, length):
            return None
        stretch = f"from {start:g} to {'the end' if end is None else format(end, 'g')} s"
        return f"segment outside its recording: {stretch} of {length:.3f} s"

    def _length(self, wav: str) -> float:
        """0: unknown, or not to be told cheaply."""
        if is_pipe(wav) or Path(wav).suffix.lower() not in _CHEAP:
            return 0.0
        try:
            return float(soundfile.info(self.data.resolve(wav)).duration)
        except (soundfile.LibsndfileError, OSError):
            return 0.0  # what is wrong with it is told by others


def _seconds(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
