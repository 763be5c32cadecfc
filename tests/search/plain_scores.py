"""Language models and phrases straight from their definitions, for whole transcripts: what scorers equal."""

from __future__ import annotations

import math

ARPA = """\\data\\
ngram 1=7
ngram 2=6
ngram 3=2

\\1-grams:
-1.2\t<unk>
-99\t<s>\t-0.4
-1.1\t</s>
-0.7\t▁a\t-0.3
-0.9\t▁b\t-0.2
-0.8\tc\t-0.5
-1.5\tzz

\\2-grams:
-0.3\t<s> ▁a\t-0.1
-0.5\t▁a c\t-0.25
-0.2\tc ▁b
-0.6\tc </s>
-0.9\t▁b ▁b
-0.4\tc zz

\\3-grams:
-0.15\t<s> ▁a c
-0.35\t▁a c ▁b

\\end\\
"""

WORDS = """\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-1.0\t<unk>\t-0.1
-99\t<s>\t-0.4
-1.3\t</s>
-0.7\tac\t-0.3
-0.9\tb\t-0.2
-1.4\ta

\\2-grams:
-0.2\t<s> ac
-0.3\tac b
-0.4\tb </s>

\\end\\
"""


def parsed(text):
    """ARPA text -> {words: (logarithm, back-off)}, natural logarithms."""
    table = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
            table[tuple(fields[1].split())] = (float(fields[0]) * math.log(10), backoff * math.log(10))
    return table


def ngram(table, words, order):
    """Logarithm of the probability of the last of ``words`` after the others; unknown ones are <unk>."""
    words = tuple(word if (word,) in table else "<unk>" for word in words[-order:])
    if words in table:
        return table[words][0]
    return table.get(words[:-1], (0, 0.0))[1] + ngram(table, words[1:], order)


def sentence(table, words, order, end=True):
    """Logarithm of the probability of a whole sentence, with or without its end."""
    words = ["<s>", *words, *(["</s>"] if end else [])]
    return sum(ngram(table, words[: i + 1], order) for i in range(1, len(words)))


def phrase_value(phrases, tokens, lent=True):
    """What the phrases [(tokens, score)] add to a transcript: for what is complete, and what is ``lent``."""
    begun = {p[:n] for p, _ in phrases for n in range(1, len(p) + 1)}

    def earned(path):
        return max((s * len(p) for p, s in phrases if path[: len(p)] == p), default=0.0)

    def longest(seen):
        return next((seen[i:] for i in range(len(seen)) if seen[i:] in begun), ())

    total, path = 0.0, ()
    for i in range(len(tokens)):
        path = longest(tuple(tokens[: i + 1]))
        ends = [path[j:] for j in range(len(path)) if path[j:] in begun]
        total += max((earned(end) - earned(end[:-1]) for end in ends), default=0.0)
    if lent and path:
        most = max(s * len(path) for p, s in phrases if p[: len(path)] == path)
        total += max(0.0, most - earned(path))
    return total
