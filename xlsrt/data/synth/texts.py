"""Random things to say in any language: numbers, dates, spelled letters, everyday words, pseudo-words."""

from __future__ import annotations

import numpy as np

from xlsrt.data.synth.languages import Language

_PAUSE_SHARE = 0.12


def random_text(language: Language, rng: np.random.Generator) -> str:
    """A text of about 2 to 8 seconds; digits and single letters are left for espeak to read out."""
    count = int(rng.integers(2, 15))
    kind = rng.random()
    if kind < 0.15:
        parts = _numbers(rng, count)
    elif kind < 0.30:
        parts = _spelled(language, rng, count)
    elif kind < 0.50:
        parts = [pseudo_word(language, rng) for _ in range(max(1, count * 2 // 3))]
    elif kind < 0.75:
        parts = [_pick(language.words, rng) for _ in range(count)]
    else:
        parts = [_any(language, rng) for _ in range(max(2, count * 2 // 3))]
    return _with_pauses(parts, rng)


def pseudo_word(language: Language, rng: np.random.Generator) -> str:
    """A word of one to four syllables that need not exist."""
    syllables = 1 + int(rng.choice(4, p=[0.25, 0.4, 0.25, 0.1]))
    return "".join(
        _pick(language.onsets, rng)
        + _pick(language.vowels, rng)
        + (_pick(language.codas, rng) if i == syllables - 1 or rng.random() < 0.3 else "")
        for i in range(syllables)
    )


def _any(language: Language, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.15:
        return _numbers(rng, 1)[0]
    if kind < 0.3:
        return _spelled(language, rng, 1)[0]
    if kind < 0.6:
        return pseudo_word(language, rng)
    return _pick(language.words, rng)


def _numbers(rng: np.random.Generator, count: int) -> list[str]:
    """Digit strings, numbers of any size, decimals, dates and years; fewer the longer they are to say."""
    kind = int(rng.integers(5))
    if kind == 0:
        return [str(rng.integers(10)) for _ in range(count)]
    if kind == 1:
        return [str(rng.integers(100)) for _ in range(max(1, count * 2 // 3))]
    if kind == 2:
        return [str(rng.integers(1000)) for _ in range(max(1, count // 3))]
    if kind == 3:
        return [str(rng.integers(1000, 10**6)) for _ in range(max(1, count // 5))]
    return [
        f"{rng.integers(1, 32)} {rng.integers(1, 13)} {rng.integers(1850, 2050)}"
        for _ in range(max(1, count // 6))
    ]


def _spelled(language: Language, rng: np.random.Generator, count: int) -> list[str]:
    """Letters, which espeak names one by one when they stand alone in capitals."""
    return [
        str(rng.choice(list(language.letters))).upper() + "." * int(rng.random() < 0.1) for _ in range(count)
    ]


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _with_pauses(parts: list[str], rng: np.random.Generator) -> str:
    marks = rng.random(len(parts))
    said = [part + ("," if mark < _PAUSE_SHARE else "") for part, mark in zip(parts, marks, strict=True)]
    said[-1] = parts[-1] + str(rng.choice([".", "?", "!", ""], p=[0.6, 0.15, 0.05, 0.2]))
    return " ".join(said)
