"""Error rates of the parts of a set: by language, by length, by speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from xlsrt.report.decodings import Decoded
from xlsrt.report.edits import Counts
from xlsrt.units import SAMPLE_RATE

LENGTHS = (2.0, 5.0, 10.0, 30.0)
"""Upper ends of the groups by length, in seconds."""


def groups(data_dir: Path) -> dict[str, dict[str, str]]:
    """Utterance to group, for each kind: "language" (of sets with ``utt2lang``), "length", "speaker".

    Raises:
        UserError: the data directory is not there or is broken.
    """
    from xlsrt.data.waveforms import read_set

    entries = read_set(data_dir)
    languages = {e.name: e.utterance.extras["utt2lang"] for e in entries if "utt2lang" in e.utterance.extras}
    kinds = {"length": {e.name: length_group(e.num_samples / SAMPLE_RATE) for e in entries}}
    speakers = {e.name: e.utterance.speaker for e in entries}
    if languages:
        kinds = {"language": languages, **kinds}
    # Where nobody knows the speakers, each utterance is one.
    return {**kinds, "speaker": speakers} if len(set(speakers.values())) < len(entries) else kinds


def length_group(seconds: float) -> str:
    """The group of an utterance, such as ``2 to 5 s``."""
    if seconds < LENGTHS[0]:
        return f"under {LENGTHS[0]:g} s"
    for low, high in pairwise(LENGTHS):
        if seconds < high:
            return f"{low:g} to {high:g} s"
    return f"over {LENGTHS[-1]:g} s"


def names(group_of: Mapping[str, str]) -> list[str]:
    """The groups in the order in which people look for them."""
    order = [length_group(seconds) for seconds in (0.0, *LENGTHS)]
    return sorted(set(group_of.values()), key=lambda g: (order.index(g) if g in order else 0, g))


def rates(decoded: Decoded, group_of: Mapping[str, str], wanted: Sequence[str]) -> list[Counts]:
    """Counts of each wanted group."""
    sums = dict.fromkeys(wanted, Counts())
    for utt, alignment in decoded.alignments.items():
        group = group_of.get(utt)
        if group in sums:
            sums[group] += alignment.counts
    return [sums[group] for group in wanted]
