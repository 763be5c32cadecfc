"""Sentences of the mini corpus, each belonging to one of train, dev and test by its words alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from xlsrt.data.synth.commands import random_command
from xlsrt.data.synth.number_words import LANGUAGES, number_words

_SPLITS = (("train", 70), ("dev", 80), ("test", 100))


def split_of(sentence: str) -> str:
    """The set that a sentence belongs to: by a hash of its words, so that no two sets share one."""
    share = int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:4], "big") % 100
    return next(name for name, upper in _SPLITS if share < upper)


def sentences(
    split: str, rng: np.random.Generator, languages: Sequence[str] = LANGUAGES
) -> Iterator[tuple[str, str]]:
    """Endless (language, sentence) of a split, the languages in turn, numbers and commands in halves."""
    while True:
        for language in languages:
            sentence = _random_sentence(language, rng)
            while split_of(sentence) != split:
                sentence = _random_sentence(language, rng)
            yield language, sentence


def _random_sentence(language: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return random_command(language, rng)
    if rng.random() < 0.5:
        numbers = rng.integers(0, 10, size=int(rng.integers(4, 10)))
    else:
        numbers = rng.integers(0, int(rng.choice([100, 1000], p=[0.75, 0.25])), size=int(rng.integers(2, 6)))
    return " ".join(number_words(int(n), language) for n in numbers)
