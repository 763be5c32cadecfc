"""What a report is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.report.decodings import Decoded
from xlsrt.report.training import Experiment


@dataclass(frozen=True)
class Material:
    """Everything below an experiment folder, and the settings of the page.

    Attributes:
        expdir: the folder. decoded: every scored set. experiments: every training with curves.
        audio_megabytes: at most so much recorded speech is put into the page.
        attention: whether attention is measured on an utterance, which loads a model.
    """

    expdir: Path
    decoded: Sequence[Decoded]
    experiments: Sequence[Experiment]
    audio_megabytes: float
    attention: bool = True

    def by_dataset(self) -> Iterator[tuple[str, list[Decoded]]]:
        """Datasets in order, each with its decodings."""
        for dataset in dict.fromkeys(d.dataset for d in self.decoded):
            yield dataset, [d for d in self.decoded if d.dataset == dataset]
