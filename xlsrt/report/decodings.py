"""What was decoded and scored: the alignments of every set, with the facts of its decoding."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlsrt.context import AttentionContext
from xlsrt.ctm import WORD_TIMES
from xlsrt.errors import UserError
from xlsrt.report.edits import Alignment, Counts, align, distance
from xlsrt.report.latency import known_latency
from xlsrt.report.score_json import METRICS, NAME, model_dirs
from xlsrt.report.scoring import read_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """One set decoded by one model in one way.

    Attributes:
        path: ``<expdir>/<model>/<decoding>/<dataset>``.
        facts: content of ``decoding.json``; empty where there is none.
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def model(self) -> str:
        return self.path.parts[-3]

    @property
    def decoding(self) -> str:
        return self.path.parts[-2]

    @property
    def dataset(self) -> str:
        return self.path.parts[-1]

    @property
    def data_dir(self) -> Path | None:
        """The set's data directory, where that is known.

        It is noted as it was given, mostly relative to the folder with ``exp/``, and a report may be made in
        another one.
        """
        return self._noted(self.facts["data_dir"]) if self.facts.get("data_dir") else None

    def _noted(self, name: str) -> Path:
        noted = Path(name)
        if noted.is_absolute() or noted.exists():
            return noted
        # exp may be a link to a disk elsewhere: both sides of it are asked.
        works = [path.parents[3] for path in (self.path.absolute(), self.path.resolve()) if path.parents[3:]]
        return next((work / noted for work in works if (work / noted).exists()), noted)

    @property
    def word_times(self) -> Path | None:
        """When the words of the reference were said: the set's own times, else those its delays are of."""
        if self.data_dir is not None and (self.data_dir / WORD_TIMES).is_file():
            return self.data_dir / WORD_TIMES
        delays = known_latency(self.path)
        return self._noted(delays.word_times) if delays is not None and delays.word_times else None

    def per_utterance(self) -> tuple[list[int], list[int]]:
        """Words of the reference and errors of each utterance, in the order of ``alignments``."""
        counts = [alignment.counts for alignment in self.alignments.values()]
        return [c.ref for c in counts], [c.errors for c in counts]

    def need_data_dir(self) -> Path:
        """`data_dir`.

        Raises:
            UserError: it is not known.
        """
        if self.data_dir is None:
            raise UserError(f"{self.path}/decoding.json names no data_dir: decode the set again")
        return self.data_dir

    @property
    def context(self) -> AttentionContext | None:
        """The context it was decoded in, where that is known."""
        return AttentionContext.from_dict(self.facts["context"]) if "context" in self.facts else None

    @cached_property
    def alignments(self) -> dict[str, Alignment]:
        """Words of every utterance, aligned anew from ``score_wer/{ref,hyp}.trn``."""
        return {utt: align(ref, hyp) for utt, (ref, hyp) in self._units("wer").items()}

    @cached_property
    def figures(self) -> dict[str, dict[str, tuple[int, int]]]:
        """For each metric that is scored, of every utterance: units of the reference, errors."""
        found = {}
        for metric in METRICS:
            try:
                if (self.path / f"score_{metric}" / NAME).is_file():
                    pairs = self._units(metric)
                    found[metric] = {utt: (len(ref), distance(ref, hyp)) for utt, (ref, hyp) in pairs.items()}
            except UserError as error:
                log.warning("left out: %s", error)
        return found

    def _units(self, metric: str) -> dict[str, tuple[list[str], list[str]]]:
        """What is compared of every utterance, reference and hypothesis, from ``score_<metric>``."""
        folder = self.path / f"score_{metric}"
        ref, hyp = (read_trn(folder / name) for name in ("ref.trn", "hyp.trn"))
        if strange := sorted(ref.keys() ^ hyp.keys()):
            raise UserError(
                f"{folder}: {strange[0]} is in one of ref.trn and hyp.trn only: score the set again"
            )
        text = self.path / "text"
        names = set(read_text(text)) if text.is_file() else set()
        utterances = self._utterances(list(ref), names)
        return {utterances[name]: (units, hyp[name]) for name, units in ref.items()}

    def _utterances(self, wanted: Iterable[str], names: set[str]) -> dict[str, str]:
        """The utterance of each ``<speaker>-<utterance>``, one each."""
        found = {name: _utterance(name, names) for name in wanted}
        if len(set(found.values())) < len(found) and self.data_dir and (self.data_dir / "utt2spk").is_file():
            speakers = read_text(self.data_dir / "utt2spk")
            found |= {name: u for u, spk in speakers.items() if (name := f"{spk}-{u}") in found}
        if len(set(found.values())) < len(found):
            utt, _ = Counter(found.values()).most_common(1)[0]
            both = " and ".join([name for name, other in found.items() if other == utt][:2])
            raise UserError(
                f"{self.path}/score_wer: {both} may both be of utterance {utt}: rename utterances so that "
                "none ends with another's whole name, and score the set again"
            )
        return found

    @property
    def counts(self) -> Counts:
        return sum((a.counts for a in self.alignments.values()), Counts())

    def confusions(self, most: int = 15) -> list[tuple[str, str, int]]:
        """The most frequent errors: (reference, hypothesis, times); "" stands for nothing."""
        found = Counter(
            (ref or "", hyp or "")
            for alignment in self.alignments.values()
            for kind, ref, hyp in alignment.pairs
            if kind != "C"
        )
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [(ref, hyp, times) for (ref, hyp), times in ordered[:most]]


def find_decoded(expdir: Path, left_out: list[str] | None = None) -> list[Decoded]:
    """Scored sets below ``expdir``, by dataset, model and decoding.

    Damaged ones are named in the log and, if it is given, in ``left_out``.
    """
    found = [d for model in model_dirs(expdir) for d in decoded_by(model, left_out)]
    return sorted(found, key=lambda d: (d.dataset, d.model, d.decoding))


def decoded_by(model_dir: Path, left_out: list[str] | None = None) -> list[Decoded]:
    """Scored sets of one experiment, by dataset and decoding; else as `find_decoded`."""
    found = []
    for score in model_dir.glob(f"*/*/score_wer/{NAME}"):
        path = score.parents[1]
        try:
            decoded = Decoded(path, _facts(path / "decoding.json"))
            if not decoded.alignments:
                raise UserError(f"{path}/score_wer/ref.trn has no utterances: score the set again")
        except (UserError, OSError, ValueError) as error:
            log.warning("%s is left out: %s", path, error)
            if left_out is not None:
                left_out.append(str(error))
            continue
        found.append(decoded)
    return sorted(found, key=lambda d: (d.dataset, d.decoding))


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("no object")
        if "context" in facts:
            AttentionContext.from_dict(facts["context"])
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): remove it and decode the set again") from None
    return facts


def _utterance(name: str, utterances: set[str]) -> str:
    """The utterance in a trn file's ``<speaker>-<utterance>``: the longest ending that is one."""
    pieces = name.split("-")
    endings = ("-".join(pieces[cut:]) for cut in range(1, len(pieces)))
    return next((ending for ending in endings if ending in utterances), name)


def read_trn(path: Path) -> dict[str, list[str]]:
    """``<units> (<speaker>-<utterance>)`` lines by what stands in the brackets.

    Raises:
        UserError: the file is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); score the set again") from None
    table = {}
    for number, line in enumerate(lines, 1):
        # The names may have brackets themselves: `trn_lines` puts a tab before the one that counts.
        text, bracket, name = line.rpartition("\t(")
        if not line.strip():
            continue
        if not bracket or not name.endswith(")"):
            raise UserError(f"{path}:{number}: no (<utterance>) at the end of the line; score the set again")
        table[name[:-1]] = text.split()
    return table
