"""What is told once per dump, not once per utterance."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from xlsrt.data.audio import AudioFacts
from xlsrt.data.overshoot import OVERSHOOT_SECONDS

log = logging.getLogger(__name__)


class Notes:
    """Counts of what was resampled, mixed, clipped; hours."""

    def __init__(self) -> None:
        self.rates: Counter[int] = Counter()
        self.channels: Counter[int] = Counter()
        self.examples: dict[tuple[str, int], str] = {}
        self.clipped = 0
        self.cut = 0
        self.samples = 0

    def add(self, utt: str, facts: AudioFacts) -> None:
        self.rates[facts.rate] += 1
        self.channels[facts.channels] += 1
        self.examples.setdefault(("rate", facts.rate), utt)
        self.examples.setdefault(("channels", facts.channels), utt)
        self.clipped += facts.clipped > 0
        if facts.cut:
            self.cut += 1
            self.examples.setdefault(("cut", 0), utt)
        self.samples += facts.num_samples

    def report(self, out: Path, dropped: int, sample_rate: int) -> None:
        for rate, count in sorted(self.rates.items()):
            if rate != sample_rate:
                such = self.examples["rate", rate]
                log.warning(
                    "%s: resampled %d utterances from %d to %d Hz (such as %s)",
                    out,
                    count,
                    rate,
                    sample_rate,
                    such,
                )
        for channels, count in sorted(self.channels.items()):
            if channels != 1:
                such = self.examples["channels", channels]
                log.warning(
                    "%s: mixed %d channels down to one in %d utterances (such as %s)",
                    out,
                    channels,
                    count,
                    such,
                )
        if self.clipped:
            log.warning("%s: %d utterances exceed full scale and were clipped", out, self.clipped)
        if self.cut:
            such = self.examples["cut", 0]
            log.warning(
                "%s: %d segments end up to %g s after their recording and were cut there (such as %s)",
                out,
                self.cut,
                OVERSHOOT_SECONDS,
                such,
            )
        if dropped:
            log.warning(
                "%s: dropped %d utterances with unusable audio, listed in %s/dropped", out, dropped, out
            )
        hours = self.samples / sample_rate / 3600
        log.info("%s: %d utterances, %.2f hours", out, sum(self.rates.values()), hours)
