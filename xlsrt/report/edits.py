"""Minimum edit alignment of two token sequences (the search itself is RapidFuzz's)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

Kind = Literal["C", "S", "D", "I"]
"""Correct, substitution, deletion (in ref only), insertion (in hyp only)."""

Pair = tuple[Kind, "str | None", "str | None"]


@dataclass(frozen=True)
class Counts:
    """Sums over alignments. ``ref == corr + sub + dele``; ``wrong`` counts utterances with any error."""

    utterances: int = 0
    wrong: int = 0
    corr: int = 0
    sub: int = 0
    dele: int = 0
    ins: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.utterances + other.utterances,
            self.wrong + other.wrong,
            self.corr + other.corr,
            self.sub + other.sub,
            self.dele + other.dele,
            self.ins + other.ins,
        )

    @property
    def ref(self) -> int:
        return self.corr + self.sub + self.dele

    @property
    def errors(self) -> int:
        return self.sub + self.dele + self.ins

    def percent(self, count: int) -> float:
        """``count`` in percent of the reference length; of an empty reference, 0 for 0 and else infinity."""
        if self.ref == 0:
            return 0.0 if count == 0 else float("inf")
        return 100.0 * count / self.ref

    @property
    def error_rate(self) -> float:
        return self.percent(self.errors)

    @property
    def sentence_error_rate(self) -> float:
        return 100.0 * self.wrong / self.utterances if self.utterances else 0.0


@dataclass(frozen=True)
class Alignment:
    """One utterance: ``pairs`` of (kind, ref token or None, hyp token or None), in order."""

    pairs: tuple[Pair, ...]

    @property
    def counts(self) -> Counts:
        kinds = [kind for kind, _, _ in self.pairs]
        corr, sub, dele, ins = (kinds.count(kind) for kind in ("C", "S", "D", "I"))
        return Counts(1, int(sub + dele + ins > 0), corr, sub, dele, ins)


def align(ref: Sequence[str], hyp: Sequence[str]) -> Alignment:
    """Align with unit costs: the errors are the fewest possible (sclite weighs 3 for D and I, 4 for S)."""
    pairs: list[Pair] = []
    for op in Levenshtein.opcodes(list(ref), list(hyp)):
        refs, hyps = ref[op.src_start : op.src_end], hyp[op.dest_start : op.dest_end]
        if op.tag == "equal":
            pairs += [("C", r, h) for r, h in zip(refs, hyps, strict=True)]
        elif op.tag == "replace":
            pairs += [("S", r, h) for r, h in zip(refs, hyps, strict=True)]
        elif op.tag == "delete":
            pairs += [("D", r, None) for r in refs]
        else:
            pairs += [("I", None, h) for h in hyps]
    return Alignment(tuple(pairs))


def distance(ref: Sequence[str], hyp: Sequence[str]) -> int:
    """The errors of `align` alone, in little memory."""
    return Levenshtein.distance(list(ref), list(hyp))
