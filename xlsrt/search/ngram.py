"""n-gram language models as scorers of a search: of tokens, or of words that are scored when they end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.arpa import ArpaFile, NgramTable, read_arpa
from xlsrt.search.rows import RowCache

START, END = "<s>", "</s>"
SPACE_MARK = "▁"
MOVES = 16384
"""From contexts to the next that are remembered: a few MB."""
WORD_CHARACTERS = 200
"""Longer words are unknown to any model; no more of them is remembered."""


class Vocabulary(Protocol):
    """What a search needs to know of the tokens; `xlsrt.text.TokenModel` offers it."""

    token_list: list[str]

    def text(self, ids: Sequence[int], lead: bool = False) -> str:
        """Ids to text; ``lead`` keeps the space in front."""

    def encode(self, text: str) -> list[int]:
        """Text to ids."""

    def whole_characters(self, ids: Sequence[int]) -> int:
        """How many leading tokens form whole characters."""


def load_ngram(path: ArpaFile | str, unit: str, vocabulary: Vocabulary) -> TokenNgram | WordNgram:
    """An ARPA file as a scorer. unit: one of `options.LM_UNITS`."""
    if unit == "word":
        return WordNgram(path, vocabulary)
    return TokenNgram(path, vocabulary)


class TokenNgram:
    """n-grams of tokens, written as the token list writes them. Tokens it lacks are its <unk> to it.

    Its states are contexts, tuples of ids; rows are computed from those of the shorter contexts.
    """

    def __init__(self, path: ArpaFile | str, vocabulary: Vocabulary) -> None:
        tokens = vocabulary.token_list
        ids = {token: index for index, token in enumerate(tokens)}
        # Sentence marks are no tokens of the recogniser; they get the ids behind them.
        ids.update({START: len(tokens), END: len(tokens) + 1})
        self._size = len(tokens)
        strange: set[str] = set()

        def number(word: str) -> int | None:
            found = ids.get(word)
            if found is None and word.lower() != "<unk>":
                strange.add(word)
            return found

        self._table: NgramTable = read_arpa(path, number, len(tokens) + 2)
        there = set(self._table.keys[0])
        known = sum(key < self._size and tokens[key] != "<unk>" for key in there)
        # "a" and "i" are words and tokens both.
        if known <= len(strange):
            raise UserError(
                f"{path}: of its {known + len(strange)} unigrams {known} are tokens of the model; train it "
                "on text cut into tokens, or use lm_unit word"
            )
        self._unknown = ids.get("<unk>", -1)
        absent = [index for index in range(self._size) if index not in there]
        self._absent = absent if self._unknown in there else []
        self._read_as = dict.fromkeys(self._absent, self._unknown)
        self._start = self._table.context((len(tokens),))
        self.score = RowCache(self._row)
        # Hypotheses of a batch meet in the same few thousand contexts again and again.
        self._after = lru_cache(MOVES)(self._context)

    def init(self) -> tuple[int, ...]:
        """The context of the first token."""
        return self._start

    def step(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """The context after one more token."""
        return self._after(state, token)

    def _context(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        return self._table.context((*state, self._read_as.get(token, token)))

    def final(self, state: tuple[int, ...]) -> float:
        """Logarithm of the probability that a sentence ends here; 0 where the model knows no ends."""
        end = self._size + 1
        return self._table.log_prob(state, end) if self._table.find((end,)) >= 0 else 0.0

    def _row(self, state: tuple[int, ...]) -> Tensor:
        level, place = len(state), self._table.find(state)
        if state:
            row = self.score(state[1:])
            if place >= 0:
                row += self._table.backoffs[level - 1][place]
        else:
            row = torch.full((self._size,), self._table.unknown)
        words, logs = self._table.followers(level, place, self._size)
        row[words] = logs
        if self._absent:
            row[self._absent] = row[self._unknown].item()
        return row


WordState = tuple[tuple[int, ...], str, tuple[int, ...]]
"""Context, the beginning of a word, byte pieces that do not make characters yet."""


class WordNgram:
    """n-grams of words. A word counts once it is over: with the token that begins the next, or at the end."""

    def __init__(self, path: ArpaFile | str, vocabulary: Vocabulary) -> None:
        self._ids: dict[str, int] = {}
        self._table = read_arpa(path, lambda word: self._ids.setdefault(word, len(self._ids)), 2**31)
        cut = [word for word in self._ids if word == "<space>" or SPACE_MARK in word]
        if cut:
            raise UserError(
                f"{path}: its unigrams are tokens, such as {cut[0]!r}, no words; train it on words, or use "
                "lm_unit token"
            )
        self._spell = vocabulary.text
        tokens = range(len(vocabulary.token_list))
        self._texts = [vocabulary.text([token], lead=True) for token in tokens]
        self._bytes = [not vocabulary.whole_characters([token]) for token in tokens]
        plain = [text.startswith(" ") and " " not in text[1:] for text in self._texts]
        # Most tokens that end a word begin the next one, so they share a score; others hold whole words.
        self._plain = torch.tensor(plain)
        self._odd = [token for token in tokens if " " in self._texts[token] and not plain[token]]
        self._start = self._table.context((self._ids[START],)) if START in self._ids else ()
        self.score = RowCache(self._row)

    def init(self) -> WordState:
        """The start of a sentence, no word begun."""
        return self._start, "", ()

    def step(self, state: WordState, token: int) -> WordState:
        """The state after one more token."""
        context, begun, run = state
        if self._bytes[token]:
            return context, begun, (*run, token)[:WORD_CHARACTERS]
        *over, begun = (self._said(state) + self._texts[token]).split(" ")
        return self._scored(context, over)[1], begun[:WORD_CHARACTERS], ()

    def final(self, state: WordState) -> float:
        """The last word, and the end of the sentence where the model knows ends."""
        total, context = self._scored(state[0], self._said(state).split(" "))
        if END in self._ids:
            total += self._table.log_prob(context, self._ids[END])
        return total

    def _row(self, state: WordState) -> Tensor:
        said = self._said(state)
        row = torch.zeros(len(self._texts))
        row[self._plain] = self._scored(state[0], said.split(" "))[0]
        for token in self._odd:
            row[token] = self._scored(state[0], (said + self._texts[token]).split(" ")[:-1])[0]
        return row

    def _said(self, state: WordState) -> str:
        return state[1] + self._spell(state[2], lead=True)

    def _scored(self, context: tuple[int, ...], words: Sequence[str]) -> tuple[float, tuple[int, ...]]:
        """Logarithm of the probability of words after a context, and the context after them."""
        total = 0.0
        for word in filter(None, words):
            number = self._ids.get(word, self._ids.get("<unk>", len(self._ids)))
            total += self._table.log_prob(context, number)
            context = self._table.context((*context, number))
        return total, context
