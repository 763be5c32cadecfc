"""Phrases to favour (contextual biasing): an Aho-Corasick automaton over tokens.

A token that goes on with a phrase is lent the phrase's score. When the phrase is complete, what was lent for
it is kept; when it breaks off, it is given back, so that a beginning alone changes nothing in the end. A
phrase that goes on where another ends earns the difference only; of several that end at one token the best
counts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.search.ngram import Vocabulary
from xlsrt.search.rows import RowCache

MOST_PHRASES = 100_000
MOST_TOKENS = 64


class PhraseBias:
    """Phrases as a scorer; its states are numbers of nodes, 0 is no phrase begun.

    Memory grows with the sum of the phrases' tokens; a step costs no more for many phrases than for one.

    Args:
        phrases: token ids and the score of each of them. vocab_size: V.
    """

    def __init__(self, phrases: Sequence[tuple[Sequence[int], float]], vocab_size: int) -> None:
        self._size = vocab_size
        self._next: list[dict[int, int]] = [{}]
        self._back = [0]
        best, earned, depth = [0.0], [0.0], [0]  # `best`: most that the phrases through a node lend up to it
        for tokens, score in phrases:
            node = 0
            for token in tokens:
                if token not in self._next[node]:
                    self._next[node][token] = len(self._next)
                    self._next.append({})
                    self._back.append(0)
                    best.append(0.0)
                    earned.append(0.0)
                    depth.append(depth[node] + 1)
                node = self._next[node][token]
                best[node] = max(best[node], score * depth[node])
            earned[node] = max(earned[node], score * depth[node])
        self._lent = [0.0] * len(best)
        self._paid = [0.0] * len(best)
        waiting = deque([0])
        while waiting:  # by depth, so that shorter matches are known first
            node = waiting.popleft()
            for token, child in self._next[node].items():
                earned[child] = max(earned[child], earned[node])
                self._lent[child] = max(0.0, best[child] - earned[child])
                self._back[child] = self.step(self._back[node], token) if node else 0
                self._paid[child] = max(earned[child] - earned[node], self._paid[self._back[child]])
                waiting.append(child)
        self.score = RowCache(self._row)

    def init(self) -> int:
        """No phrase begun."""
        return 0

    def step(self, state: int, token: int) -> int:
        """The longest beginning of a phrase that ends with ``token``."""
        while state and token not in self._next[state]:
            state = self._back[state]
        return self._next[state].get(token, 0)

    def final(self, state: int) -> float:
        """What is given back when nothing follows."""
        return -self._lent[state]

    def _row(self, state: int) -> Tensor:
        if state:
            row = self.score(self._back[state]) + (self._lent[self._back[state]] - self._lent[state])
        else:
            row = torch.zeros(self._size)
        for token, child in self._next[state].items():
            row[token] = self._lent[child] + self._paid[child] - self._lent[state]
        return row


def load_phrases(source: Path | str | Sequence[str], score: float, vocabulary: Vocabulary) -> PhraseBias:
    """A list of phrases, or a file with one a line, each with a score of its own behind a tab if it likes.

    Args:
        score: for each token of phrases without their own.

    Raises:
        UserError: no such file or no phrases in it, characters that the model does not know, a score that is
            no positive number; with the line.
    """
    lines, name = _lines(source)
    if not score > 0 or not math.isfinite(score):
        raise UserError(f"phrase_score is {score}; give a number above 0")
    phrases = []
    for number, line in enumerate(lines, 1):
        phrase, tab, own = line.strip("\r\n ").partition("\t")
        phrase = " ".join(phrase.split())
        if not phrase and not tab:
            continue
        where = f"{name}:{number}"
        try:
            value = float(own) if tab else score
        except ValueError:
            value = math.nan
        if not phrase or not value > 0 or not math.isfinite(value):
            raise UserError(f"{where}: not `phrase` or `phrase<tab>score above 0`: {line.strip()!r}")
        phrases.append((_tokens(phrase, where, vocabulary), value))
    if not phrases:
        raise UserError(f"{name} has no phrases; write one a line, or leave `phrases` out")
    if len(phrases) > MOST_PHRASES:
        raise UserError(f"{name} has {len(phrases)} phrases; {MOST_PHRASES} is the limit")
    return PhraseBias(phrases, len(vocabulary.token_list))


def _lines(source: Path | str | Sequence[str]) -> tuple[Sequence[str], str]:
    if not isinstance(source, (str, Path)):
        return list(source), "phrases"
    path = Path(source)
    if not path.is_file():
        raise UserError(f"the list of phrases {path} does not exist")
    try:
        return path.read_text(encoding="utf-8-sig").split("\n"), str(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from None


def _tokens(phrase: str, where: str, vocabulary: Vocabulary) -> list[int]:
    tokens = vocabulary.encode(phrase)
    strange = [token for token in tokens if vocabulary.token_list[token] in ("<unk>", "<blank>")]
    if strange:
        known = [c for c in dict.fromkeys(phrase) if not c.isspace() and _is_known(c, vocabulary)]
        unknown = "".join(c for c in dict.fromkeys(phrase) if not c.isspace() and c not in known)
        raise UserError(
            f"{where}: the model has no tokens for {unknown or phrase!r} in {phrase!r}; write it in the "
            "characters of its transcripts, or take the line out"
        )
    if len(tokens) > MOST_TOKENS:
        raise UserError(
            f"{where}: {len(tokens)} tokens are too many for a phrase; {MOST_TOKENS} is the limit"
        )
    return tokens


def _is_known(character: str, vocabulary: Vocabulary) -> bool:
    return all(
        vocabulary.token_list[token] not in ("<unk>", "<blank>") for token in vocabulary.encode(character)
    )
