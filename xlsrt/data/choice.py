"""Which utterances of a set to take: so many of them, or those of a list of speakers (hours: `hours`)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from xlsrt.data.kaldi import DataDir
from xlsrt.data.tables import load_table, read_table, sorted_table
from xlsrt.errors import UserError

log = logging.getLogger(__name__)


def choose(
    source: str | os.PathLike[str],
    *,
    count: int,
    how: str = "spread",
) -> list[str]:
    """Pick ``count`` utterances.

    ``how``: ``spread`` evenly over the set, ``first``, ``last``, ``shortest``, ``per-spk`` (the first of each
    speaker), or whole ``speakers`` until there are enough.

    Raises:
        UserError: count is not positive, or ``shortest`` finds no ``utt2num_samples`` or ``utt2dur``.
    """
    if count < 1:
        raise UserError(f"{count} utterances: ask for at least one")
    data = DataDir(source)
    data.require("utt2spk")
    utts = [utt for utt, _ in sorted_table(data.path / "utt2spk")]
    if count > len(utts) and how in ("first", "last", "spread", "shortest"):
        log.warning("%s: has %d utterances only, %d were asked for", data.path, len(utts), count)
    if how == "first":
        return utts[:count]
    if how == "last":
        return utts[-count:]
    if how == "spread":
        count = min(count, len(utts))
        return [utts[i * len(utts) // count] for i in range(count)]
    if how == "per-spk":
        return [utt for speaker in data.speakers().values() for utt in sorted(speaker)[:count]]
    if how == "speakers":
        chosen: list[str] = []
        for _, spoken in sorted(data.speakers().items()):
            if len(chosen) >= count:
                break
            chosen += spoken
        return chosen
    if how == "shortest":
        name = next((n for n in ("utt2num_samples", "utt2dur", "utt2num_frames") if data.has(n)), None)
        if name is None:
            raise UserError(
                f"{data.path}: --shortest needs utt2num_samples or utt2dur: use the dump of the set"
            )
        lengths = load_table(data.path / name)
        return sorted(utts, key=lambda utt: (float(lengths[utt]), utt))[:count]
    raise UserError(f"'{how}' is no way to choose utterances")


def choose_speakers(source: str | os.PathLike[str], speaker_list: Path) -> list[str]:
    """The utterances of the speakers that a file names as the first words of its lines.

    Speakers of whom the set knows nothing are counted and told.
    """
    speakers = {key for key, _ in read_table(speaker_list)}
    spoken = dict(read_table(Path(source) / "utt2spk"))
    if unknown := sorted(speakers - set(spoken.values())):
        log.warning("%s: %d of the speakers are not in it, such as %s", source, len(unknown), unknown[0])
    return [utt for utt, speaker in spoken.items() if speaker in speakers]
