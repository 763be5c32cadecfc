"""Error rates of the parts of a set, with intervals: by language, by length, by speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from xlsrt.report.significance import bootstrap_interval, interval_text
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


@dataclass(frozen=True)
class Part:
    """Some utterances of a set: units of the reference and errors of each, of one metric."""

    refs: tuple[int, ...]
    errors: tuple[int, ...]

    @property
    def rate(self) -> float:
        """In percent of the reference; infinite for errors where there is none."""
        if not sum(self.refs):
            return float("inf") if sum(self.errors) else 0.0
        return 100.0 * sum(self.errors) / sum(self.refs)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % bootstrap interval of `rate`, where there is one."""
        return bootstrap_interval(self.errors, self.refs) if self.refs else None

    @property
    def text(self) -> str:
        """``19.0 (17.4 to 20.8)``; nothing where there are no utterances."""
        if not self.refs:
            return ""
        ends = "" if self.interval is None else f" ({interval_text(self.interval)})"
        return f"{self.rate:.1f}{ends}"


def split(
    figures: Mapping[str, tuple[int, int]], group_of: Mapping[str, str], wanted: Sequence[str]
) -> list[Part]:
    """A part for each wanted group.

    Args:
        figures: units of the reference and errors of each utterance. group_of: its group.
    """
    found: dict[str, list[tuple[int, int]]] = {group: [] for group in wanted}
    for utt, figure in figures.items():
        if (group := group_of.get(utt)) in found:
            found[group].append(figure)
    return [Part(tuple(r for r, _ in found[g]), tuple(e for _, e in found[g])) for g in wanted]
