"""n-gram language models from little text: interpolated modified Kneser-Ney, written as ARPA.

Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (1998), counted as
KenLM's lmplz does: one <s> before a sentence, one </s> behind it, <unk> in the vocabulary. All n-grams stay
in memory, some 200 bytes each: made for transcripts. For gigabytes of text take lmplz.
"""

from __future__ import annotations

import math
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.files import atomic_open

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
Gram = tuple[str, ...]
_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where too few n-grams were counted to tell, those of lmplz --discount_fallback."""


@dataclass
class NgramModel:
    """Probabilities of n-grams, back-off weights of contexts: no logarithms, a dictionary for each length."""

    probs: list[dict[Gram, float]]
    backoffs: list[dict[Gram, float]]

    @property
    def order(self) -> int:
        return len(self.probs)

    def prob(self, context: Sequence[str], word: str) -> float:
        """P(word | context); an unknown word counts as <unk>."""
        if (word,) not in self.probs[0]:
            word = UNKNOWN
        history = tuple(context)[max(0, len(context) - self.order + 1) :] if self.order > 1 else ()
        weight = 1.0
        while (*history, word) not in self.probs[len(history)]:
            weight *= self.backoffs[len(history) - 1].get(history, 1.0)
            history = history[1:]
        return weight * self.probs[len(history)][(*history, word)]

    def bits(self, sentences: Iterable[Sequence[str]]) -> tuple[float, int]:
        """Bits that sentences need, ends included, and the number of their words with ends."""
        total, count = 0.0, 0
        for sentence in sentences:
            line = (START, *sentence, END)
            for at in range(1, len(line)):
                total -= math.log2(self.prob(line[max(0, at - self.order) : at], line[at]))
            count += len(line) - 1
        return total, count


def joined(
    sentences: Iterable[Sequence[str]], most: int, between: Sequence[str] = (), seed: int = 0
) -> Iterator[list[str]]:
    """Sentences one to ``most`` in a row, in random order, each once: what is said in recordings of minutes.

    between: words that stand between two of them.
    """
    draw = random.Random(seed)
    left = [list(sentence) for sentence in sentences]
    draw.shuffle(left)
    while left:
        line = left.pop()
        for _ in range(min(draw.randint(0, most - 1), len(left))):
            line += [*between, *left.pop()]
        yield line


def estimate_ngram(
    sentences: Iterable[Sequence[str]], order: int, vocabulary: Iterable[str] = (), prune: Sequence[int] = ()
) -> NgramModel:
    """Count and smooth.

    Args:
        sentences: their words, for a model of tokens their tokens.
        order: longest n-gram, from 1 on.
        vocabulary: words to know though none of the sentences has them.
        prune: n-grams that come at most so many times are left to shorter ones: a number for each length,
            0 for words, never falling; the last holds for longer ones too (KenLM's ``--prune``).

    Raises:
        UserError: no sentence, an order below 1, a word that stands for the start or end, numbers to prune by
            that fall or would drop words.
    """
    if order < 1:
        raise UserError(f"an n-gram has at least one token, not {order}: give an order from 1 on")
    bounds = ([*prune] + [prune[-1] if prune else 0] * order)[:order]
    if bounds[0] != 0 or sorted(bounds) != bounds:
        given = " ".join(map(str, prune))
        raise UserError(f"n-grams cannot be pruned by {given}: begin with 0 for single words and do not fall")
    counts, times = _count(sentences, order, any(bounds))
    known = ({word for (word,) in counts[0]} | set(vocabulary) | {UNKNOWN}) - {START}
    probs: list[dict[Gram, float]] = []
    backoffs: list[dict[Gram, float]] = []
    for level, (grams, bound) in enumerate(zip(counts, bounds, strict=False)):
        discounts = _discounts(grams)
        rare = {gram for gram, often in times[level].items() if often <= bound} if bound else set()
        totals: Counter[Gram] = Counter()
        kept: defaultdict[Gram, float] = defaultdict(
            float
        )  # of the mass of each context, what discounts leave to shorter ones
        for gram, count in grams.items():
            if gram != (START,):
                totals[gram[:-1]] += count
                kept[gram[:-1]] += count if gram in rare else discounts[min(count, 3) - 1]
        weights = {context: kept[context] / total for context, total in totals.items()}
        if level:
            backoffs.append(weights)
        if level == 0:
            uniform = weights[()] / len(known)
            probs.append({(word,): uniform for word in known})
        else:
            probs.append({})
        below = probs[level - 1]
        for gram, count in grams.items():
            if gram == (START,):
                probs[0][gram] = 0.0
                continue
            if gram in rare:
                continue
            own = (count - discounts[min(count, 3) - 1]) / totals[gram[:-1]]
            shared = uniform if level == 0 else weights[gram[:-1]] * below[gram[1:]]
            probs[level][gram] = own + shared
    while not probs[-1]:  # all of them were rare
        probs.pop()
        backoffs.pop()
    return NgramModel(probs, backoffs)


def _count(
    sentences: Iterable[Sequence[str]], order: int, often: bool
) -> tuple[list[Counter[Gram]], list[Counter[Gram]]]:
    """Counts to smooth, and, if asked, how often each n-gram comes. The two are equal for the longest and for
    those at a start; for others the former is how many words stand before them.
    """
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    some = False
    for sentence in sentences:
        if START in sentence or END in sentence:
            raise UserError(f"{START} and {END} mark the ends of a sentence and cannot stand in it")
        some = some or len(sentence) > 0
        line = (START, *sentence, END)
        for at in range(len(line)):
            counts[min(at, order - 1)][line[max(0, at - order + 1) : at + 1]] += 1
    if not some:
        raise UserError("there is no text to count n-grams in")
    # Only the longest were counted, and those cut short by a start; the others follow from them.
    times = [Counter(grams) for grams in counts] if often else []
    for level in range(order - 1, 0, -1):
        for gram in counts[level]:
            if len(gram) > 1:
                counts[level - 1][gram[1:]] += 1
                if often:
                    times[level - 1][gram[1:]] += times[level][gram]
    return [grams for grams in counts if grams], times


def _discounts(grams: Counter[Gram]) -> tuple[float, float, float]:
    """What is taken from counts of 1, of 2, and of 3 and more."""
    seen = Counter(count for gram, count in grams.items() if count <= 4 and gram != (START,))
    if not all(seen[k] for k in (1, 2, 3, 4)):
        return _FALLBACK
    ratio = seen[1] / (seen[1] + 2 * seen[2])
    one, two, more = (k - (k + 1) * ratio * seen[k + 1] / seen[k] for k in (1, 2, 3))
    return (one, two, more) if 0 < one <= 1 and 0 < two <= 2 and 0 < more <= 3 else _FALLBACK


def write_arpa(model: NgramModel, path: str | os.PathLike[str]) -> None:
    """Write a model as ARPA, sorted, so that equal text gives equal bytes."""
    with atomic_open(Path(path)) as stream:
        stream.write("\\data\\\n")
        for level, grams in enumerate(model.probs, 1):
            stream.write(f"ngram {level}={len(grams)}\n")
        for level, grams in enumerate(model.probs, 1):
            stream.write(f"\n\\{level}-grams:\n")
            weights = model.backoffs[level - 1] if level < model.order else {}
            for gram in sorted(grams):
                log = math.log10(grams[gram]) if grams[gram] else -99.0
                backoff = f"\t{math.log10(weights[gram]):.7f}" if gram in weights else ""
                stream.write(f"{log:.7f}\t{' '.join(gram)}{backoff}\n")
        stream.write("\n\\end\\\n")
