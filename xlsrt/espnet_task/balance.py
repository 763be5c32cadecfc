"""Training on several languages in the shares that one wants, whatever their amounts.

With power b a language of n seconds among N gets a share that goes as (n / N) ** b: b = 1 leaves shares as
they are, b = 0 makes them equal, 0.5 is usual (arXiv 2006.13979 and ESPnet's `CategoryPowerSampler`).
ESPnet's samplers of this kind draw every batch anew; here batches keep their number and their sizes, so that
schedules, resuming and several ranks go as without. Shares are met to a few percent; a language of a dozen
utterances, none of them short, gets less than its share.

A set that is read in parts is balanced within each: a part is a random sample of the set, so its languages
have about the set's shares, and only the part's utterances are in memory.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from xlsrt.errors import UserError
from xlsrt.recipe.languages import languages_beside

_NEAR = 16  # utterances of about the wanted length, one of which is drawn


class LanguageBalance:
    """Each epoch, languages with more than their share give places in batches to others of about that length.

    Args:
        batches: utterances of each batch, of this rank. lengths: samples of each utterance.
        languages: language of each utterance. power: b above, 0 to 1.
    Raises:
        UserError: the power is out of range, or an utterance has no language.
    """

    def __init__(
        self,
        batches: Sequence[Sequence[str]],
        lengths: Mapping[str, int],
        languages: Mapping[str, str],
        power: float,
    ) -> None:
        if not 0.0 <= power <= 1.0:
            raise UserError(f"--language_balance {power:g}: between 0 (equal shares) and 1 (as they are)")
        self.lengths, self.languages = lengths, languages
        pools: dict[str, list[tuple[int, str]]] = {}
        for utt in sorted({utt for batch in batches for utt in batch}):
            if utt not in languages:
                raise UserError(
                    f"utt2lang: utterance '{utt}' has no language: prepare and format the set again"
                )
            pools.setdefault(languages[utt], []).append((lengths[utt], utt))
        self.pools = {language: sorted(pool) for language, pool in sorted(pools.items())}
        seconds = {name: sum(length for length, _ in pool) for name, pool in self.pools.items()}
        self.shares = _normal(seconds)
        self.wanted = _normal({name: share**power for name, share in self.shares.items()})
        lacking = {name: max(0.0, self.wanted[name] - self.shares[name]) for name in self.pools}
        self._takers = [name for name, share in lacking.items() if share > 0]
        self._bounds = np.cumsum([lacking[name] for name in self._takers]) / max(sum(lacking.values()), 1e-12)

    def apply(self, batches: Sequence[Sequence[str]], epoch: int, seed: int) -> list[list[str]]:
        """The batches of an epoch: a function of seed and epoch. Longest first in each."""
        if not self._takers:
            return [list(batch) for batch in batches]
        rng = np.random.default_rng((seed, epoch))
        balanced = []
        for batch in batches:
            mixed = map(self._place, batch, *rng.random((3, len(batch))))
            balanced.append(sorted(mixed, key=lambda utt: (-self.lengths[utt], utt)))
        return balanced

    def _place(self, utt: str, keep: float, who: float, which: float) -> str:
        """Who stands where ``utt`` stood, by three random numbers between 0 and 1."""
        own = self.languages[utt]
        if keep < self.wanted[own] / self.shares[own]:
            return utt
        pool = self.pools[self._takers[min(bisect.bisect_right(self._bounds, who), len(self._takers) - 1)]]
        # Not longer, so that no batch outgrows the memory.
        end = bisect.bisect_right(pool, (self.lengths[utt], "\U0010ffff"))
        first = max(0, end - _NEAR)
        return pool[first + int(which * (end - first))][1] if end else utt


def _normal(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total for name, value in values.items()}


def read_languages(wav_scp: str) -> dict[str, str]:
    """Language of each utterance of a dump's wav.scp, or of a part of it.

    Raises:
        UserError: there is no table of them.
    """
    with open(languages_beside(Path(wav_scp)), encoding="utf-8") as stream:
        pairs = (line.split() for line in stream)
        return {utt: sys.intern(language) for utt, language in pairs}
