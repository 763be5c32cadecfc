"""NIST's ``sclite``, where it is installed: its report beside our counts, and why the two may differ."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from pathlib import Path

from xlsrt.report.edits import Counts

log = logging.getLogger(__name__)

SECONDS = 120.0
"""Longer sclite may not take: its time and memory grow with the square of an utterance's length."""

_SCORES = re.compile(r"id: \((?P<name>.+)\)\s*\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)")


def find_sclite() -> list[str] | None:
    """How sclite is called: as such, or through Debian's ``sctk``; None where there is none."""
    if shutil.which("sclite"):
        return ["sclite"]
    return ["sctk", "sclite"] if shutil.which("sctk") else None


def sclite_report(ref: Path, hyp: Path) -> str | None:
    """What sclite says of two trn files, case counting and UTF-8 read as such, as ESPnet asks it.

    None, and a line in the log, where it is not installed, fails or takes too long.
    """
    program = find_sclite()
    if program is None:
        return None
    command = [*program, "-r", str(ref), "trn", "-h", str(hyp), "trn", "-i", "rm", "-s", "-e", "utf-8"]
    command += ["-o", "all", "stdout"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("sclite gave no report of %s: %s", hyp, error)
        return None
    return done.stdout.decode("utf-8", errors="replace")


def sclite_counts(report: str) -> dict[str, Counts]:
    """Counts of every ``<speaker>-<utterance>`` from the alignments in a report."""
    found = {}
    for match in _SCORES.finditer(report):
        corr, sub, dele, ins = (int(value) for value in match.groups()[1:])
        found[match["name"]] = Counts(1, int(sub + dele + ins > 0), corr, sub, dele, ins)
    return found


def difference(ours: Counts, report: str) -> str | None:
    """A sentence where sclite counts otherwise, None where it counts the same."""
    theirs = sum(sclite_counts(report).values(), Counts())
    if (ours.ref, ours.errors, ours.sub) == (theirs.ref, theirs.errors, theirs.sub):
        return None
    return (
        f"sclite counts {theirs.errors} errors in {theirs.ref} ({theirs.sub} substitutions), we count "
        f"{ours.errors} in {ours.ref} ({ours.sub}): see docs/scoring.md"
    )
