"""The n-gram estimator against the definition, spelled out context by context, and against its own reader."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from pathlib import Path

import pytest

from xlsrt.data.kneser_ney import END, START, UNKNOWN, estimate_ngram, joined, write_arpa
from xlsrt.errors import UserError
from xlsrt.search.arpa import read_arpa
from xlsrt.search.ngram import TokenNgram
from xlsrt.text import TokenModel


def sentences(seed: int, count: int) -> list[list[str]]:
    """Words that follow each other by preference, so that contexts matter."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        word, line = draw.choice("abcde"), []
        for _ in range(draw.randint(1, 9)):
            line.append(word)
            word = draw.choice(["abcde", word, "ab", word + "c"][draw.randrange(4)])[0]
        made.append(line)
    return made


def rare_and_common(seed: int) -> list[list[str]]:
    """Some words often, most seldom: the discounts of every level can be told from the counts."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(400)]
    weights = [1 / (rank + 4) for rank in range(len(words))]
    phrases = [draw.choices(words, weights, k=draw.randint(1, 4)) for _ in range(400)]
    return [
        [word for _ in range(draw.randint(1, 3)) for word in draw.choices(phrases, weights)[0]]
        for _ in range(300)
    ]


class Plain:
    """Interpolated modified Kneser-Ney, each quantity as the paper defines it (equations 20 to 24).

    What comes at most `bound` times leaves its counts to shorter n-grams, single words aside.
    """

    def __init__(self, lines: list[list[str]], order: int, bound: int = 0) -> None:
        self.order, self.bound = order, bound
        self.padded = [(START, *line, END) for line in lines]
        self.vocabulary = sorted({word for line in lines for word in line} | {END, UNKNOWN})
        self.times = Counter(gram for length in range(1, order + 1) for gram in self.grams(length).elements())
        self.counts = {length: self.count(length) for length in range(1, order + 1)}
        self.discounts = {length: self.discount(length) for length in self.counts}

    def grams(self, length: int) -> Counter[tuple[str, ...]]:
        return Counter(line[at : at + length] for line in self.padded for at in range(len(line) - length + 1))

    def count(self, length: int) -> dict[tuple[str, ...], int]:
        counted = self.grams(length)
        if length == self.order:
            return dict(counted)
        before = Counter(gram[1:] for gram in self.grams(length + 1))
        return {gram: number if gram[0] == START else before[gram] for gram, number in counted.items()}

    def discount(self, length: int) -> list[float]:
        counted = [n for gram, n in self.counts[length].items() if gram != (START,)]
        n1, n2, n3, n4 = (counted.count(k) for k in (1, 2, 3, 4))
        assert min(n1, n2, n3, n4) > 0
        y = n1 / (n1 + 2 * n2)
        found = [0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        assert all(0 < value <= k for k, value in enumerate(found) if k), "else the model falls back"
        return found

    def prob(self, context: tuple[str, ...], word: str) -> float:
        counted, discounts = self.counts[len(context) + 1], self.discounts[len(context) + 1]
        after = {gram[-1]: n for gram, n in counted.items() if gram[:-1] == context and gram != (START,)}
        lower = self.prob(context[1:], word) if context else 1 / len(self.vocabulary)
        if not after:
            return lower
        kept = {
            word: n for word, n in after.items() if not context or self.times[(*context, word)] > self.bound
        }
        total = sum(after.values())
        taken = total - sum(n - discounts[min(n, 3)] for n in kept.values())
        own = kept[word] - discounts[min(kept[word], 3)] if word in kept else 0.0
        return (own + taken * lower) / total


@pytest.mark.parametrize(("order", "bound"), [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)])
def test_against_the_definition(order: int, bound: int) -> None:
    lines = rare_and_common(order)
    model, plain = estimate_ngram(lines, order, prune=[0, bound]), Plain(lines, order, bound)
    contexts = {line[max(0, at - order + 1) : at] for line in plain.padded for at in range(1, len(line))}
    asked = [((), "a"), ((), UNKNOWN)]
    pairs = list(itertools.product(sorted(contexts), plain.vocabulary))
    asked += random.Random(0).sample(pairs, min(500, len(pairs)))
    for context, word in asked:
        assert model.prob(context, word) == pytest.approx(plain.prob(context[-order:], word), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4, 12])
@pytest.mark.parametrize("count", [1, 3, 200])  # so few that discounts fall back, too
@pytest.mark.parametrize("prune", [(), (0, 0, 1, 3)])
def test_probabilities_add_up(order: int, count: int, prune: tuple[int, ...]) -> None:
    lines = sentences(7, count)
    model = estimate_ngram(lines, order, ["z"], prune)
    words = {word for (word,) in model.probs[0]} - {START}
    assert {"z", UNKNOWN, END} <= words
    for line in [*lines[:20], ["a", "z", "q", "b"], []]:
        context = (START, *line)
        assert sum(model.prob(context, word) for word in words) == pytest.approx(1.0, abs=1e-12)
        assert all(model.prob(context, word) > 0 for word in words)


def test_the_file_says_what_the_model_says(tmp_path: Path) -> None:
    lines = sentences(3, 100)
    tokens = ["<blank>", UNKNOWN, *"abcdez", "<sos/eos>"]
    model = estimate_ngram(lines, 5, ["z"])
    write_arpa(model, tmp_path / "lm.arpa")
    table = read_arpa(
        tmp_path / "lm.arpa", {**{t: i for i, t in enumerate(tokens)}, END: 9, START: 10}.get, 11
    )
    assert table.order == 5
    scorer = TokenNgram(tmp_path / "lm.arpa", TokenModel(tokens, "char"))
    for line in [*sentences(4, 30), list("zzq"), []]:
        line = [word for word in line if word in tokens]
        state, said = scorer.init(), 0.0
        for at, word in enumerate(line):
            expected = math.log(model.prob((START, *line[:at]), word))
            found = float(scorer.score(state)[tokens.index(word)])
            assert found == pytest.approx(expected, abs=1e-4)
            state, said = scorer.step(state, tokens.index(word)), said + found
        said += scorer.final(state)
        assert said == pytest.approx(-model.bits([line])[0] * math.log(2), abs=1e-3)
    write_arpa(estimate_ngram(iter(lines), 5, ["z"]), tmp_path / "again.arpa")
    assert (tmp_path / "again.arpa").read_bytes() == (tmp_path / "lm.arpa").read_bytes()


def test_what_is_rare_is_left_out(tmp_path: Path) -> None:
    lines = sentences(5, 300)
    whole, pruned = estimate_ngram(lines, 6), estimate_ngram(lines, 6, prune=[0, 0, 1, 2])
    times: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        padded = (START, *line, END)
        times.update(
            padded[at : at + length] for length in range(1, 7) for at in range(len(padded) - length + 1)
        )
    for level, bound in enumerate([0, 0, 1, 2, 2, 2]):
        wanted = {gram for gram in whole.probs[level] if bound == 0 or times[gram] > bound}
        assert set(pruned.probs[level]) == wanted
    assert len(pruned.probs[5]) < len(whole.probs[5]) / 3
    tokens = ["<blank>", UNKNOWN, *"abcde", "<sos/eos>"]
    write_arpa(pruned, tmp_path / "lm.arpa")
    scorer = TokenNgram(tmp_path / "lm.arpa", TokenModel(tokens, "char"))
    for line in sentences(6, 30):
        state = scorer.init()
        for at, word in enumerate(line):
            expected = math.log(pruned.prob((START, *line[:at]), word))
            assert float(scorer.score(state)[tokens.index(word)]) == pytest.approx(expected, abs=1e-4)
            state = scorer.step(state, tokens.index(word))
    assert estimate_ngram(lines[:2], 6, prune=[0, 0, 9]).order == 2, (
        "lengths of which nothing is left are gone"
    )


def test_longer_contexts_tell_more() -> None:
    lines = [list("abcabcabc"), list("bcabca"), list("cabcab")] * 5
    bits = [estimate_ngram(lines, order).bits(lines)[0] for order in (1, 2, 3)]
    assert bits[0] > 2 * bits[1] > 2 * bits[2] * 0.9
    assert estimate_ngram(lines, 40).order <= 11, "no n-gram is longer than a sentence with its ends"


def test_joined_sentences() -> None:
    lines = [[f"a{number}", f"b{number}"] for number in range(50)]
    assert sorted(joined(lines, 1)) == sorted(lines)
    made = list(joined(lines, 3, ["|"]))
    assert made == list(joined(iter(lines), 3, ["|"])) != sorted(made)
    assert {len(line) for line in made} == {2, 5, 8}
    back = [" ".join(line).split(" | ") for line in made]
    assert sorted(part for line in back for part in line) == sorted(" ".join(line) for line in lines)
    alone, both = (estimate_ngram(joined(lines, most, ["|"]), 3) for most in (1, 2))
    row = [*lines[3], "|", *lines[7]]
    assert both.bits([row])[0] < alone.bits([row])[0]


def test_bad_input() -> None:
    with pytest.raises(UserError, match="no text"):
        estimate_ngram([], 3)
    with pytest.raises(UserError, match="from 1 on"):
        estimate_ngram([["a"]], 0)
    with pytest.raises(UserError, match="mark the ends"):
        estimate_ngram([["a", END]], 2)
    for prune in ([1], [0, 2, 1], [0, -1]):
        with pytest.raises(UserError, match=f"pruned by {' '.join(map(str, prune))}: begin with 0"):
            estimate_ngram([["a"]], 3, prune=prune)
