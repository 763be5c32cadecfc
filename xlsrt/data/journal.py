"""What a dump's making has finished, utterance by utterance, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from xlsrt.data.audio import AudioFacts
from xlsrt.data.kaldi import Utterance, is_pipe

JOURNAL = ".done"


def fingerprint(row: Utterance, source: str, *options: object) -> str:
    """Changes whenever the result would: with the source (path, size, time), segment and options."""
    state = ""
    if not is_pipe(source):
        with suppress(OSError):
            status = os.stat(source)
            state = f"{status.st_size} {status.st_mtime_ns}"
    what = (row.utt, source, state, row.start, row.end, *options)
    return hashlib.blake2b(repr(what).encode(), digest_size=12).hexdigest()


def journal_line(mark: str, facts: AudioFacts) -> str:
    """One line: the fingerprint, what was found, and a last mark that a cut line lacks."""
    numbers = (facts.rate, facts.channels, facts.num_samples, facts.clipped, int(facts.passed_through))
    return f"{mark} {' '.join(map(str, numbers))} {facts.place + ' ' if facts.place else ''}.\n"


def read_journal(path: Path) -> dict[str, AudioFacts]:
    """Fingerprint to facts of all utterances that earlier runs have finished."""
    known: dict[str, AudioFacts] = {}
    if not path.exists():
        return known
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            fields = line.split()
            if len(fields) in (7, 8) and fields[-1] == ".":
                with suppress(ValueError):
                    rate, channels, samples, clipped, passed = map(int, fields[1:6])
                    place = fields[6] if len(fields) == 8 else ""
                    known[fields[0]] = AudioFacts(rate, channels, samples, clipped, bool(passed), place)
    return known
