"""ARPA n-gram language models: a reader and a compact table with back-off, 16 bytes for an n-gram."""

from __future__ import annotations

import gzip
import io
import math
import re
import zipfile
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from xlsrt.errors import UserError

LN10 = math.log(10.0)
ArpaFile = Path | zipfile.Path
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")
_SECTION = re.compile(r"\\(\d+)-grams:")


class NgramTable:
    """n-grams as a trie over sorted keys.

    An n-gram of level n is the number of its first n - 1 words on the level below, times the vocabulary, plus
    the last word; ``logs`` are natural logarithms of its probability, ``backoffs`` of its back-off weight.

    Attributes:
        order: longest n-gram. vocabulary: size. keys, logs, backoffs: one array for each level.
        tensors: keys and logs of each level again, on the same memory.
        unknown: natural logarithm of a word without a unigram: <unk>'s where the model has it, else that of
            the rarest word.
    """

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.keys: list[array[int]] = []
        self.logs: list[array[float]] = []
        self.backoffs: list[array[float]] = []
        self.tensors: list[tuple[Tensor, Tensor]] = []
        self.unknown = 0.0

    @property
    def order(self) -> int:
        return len(self.keys)

    def find(self, words: Sequence[int]) -> int:
        """The number of an n-gram on its level, or -1."""
        place = 0
        for level, word in enumerate(words):
            keys, key = self.keys[level], place * self.vocabulary + word
            place = bisect_left(keys, key)
            if place == len(keys) or keys[place] != key:
                return -1
        return place

    def backoff(self, words: Sequence[int]) -> float:
        """Back-off weight of a context, 0 where it has none."""
        place = self.find(words) if words else -1
        return self.backoffs[len(words) - 1][place] if place >= 0 else 0.0

    def context(self, words: Sequence[int]) -> tuple[int, ...]:
        """What of a history still matters: its longest end, at most order - 1 words, that is a context."""
        words = tuple(words)[max(0, len(words) - self.order + 1) :] if self.order > 1 else ()
        while words and self.find(words) < 0:
            words = words[1:]
        return words

    def log_prob(self, words: Sequence[int], word: int) -> float:
        """Natural logarithm of the probability of ``word`` after the context ``words``."""
        place = self.find((*words, word))
        if place >= 0:
            return self.logs[len(words)][place]
        return self.backoff(words) + self.log_prob(words[1:], word) if words else self.unknown

    def followers(self, level: int, place: int, below: int) -> tuple[Tensor, Tensor]:
        """Words listed after the context of ``level`` words at ``place``, ids below ``below``, and their
        natural logarithms: (N,) each.
        """
        if level >= self.order or place < 0:
            return torch.zeros(0, dtype=torch.long), torch.zeros(0)
        keys, logs = self.tensors[level]
        first = bisect_left(self.keys[level], place * self.vocabulary)
        last = bisect_left(self.keys[level], place * self.vocabulary + below)
        return keys[first:last] - place * self.vocabulary, logs[first:last]

    def add_level(self, keys: array[int], logs: array[float], backoffs: array[float]) -> None:
        """The n-grams of the next length, sorted by key."""
        self.keys.append(keys)
        self.logs.append(logs)
        self.backoffs.append(backoffs)
        self.tensors.append((_view(keys, torch.long), _view(logs, torch.float)))


def _view(values: array[Any], dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(values, dtype=dtype) if values else torch.zeros(0, dtype=dtype)


def read_arpa(path: ArpaFile | str, number: Callable[[str], int | None], vocabulary: int) -> NgramTable:
    """Read an ARPA file, plain or gzip.

    Args:
        path: also a plain file within a zip.
        number: word to id, None for n-grams to leave out. Asked first for each unigram in turn.
        vocabulary: ids are below this.

    Raises:
        UserError: no such file, not ARPA, cut short; with the line.
    """
    source = Path(path) if isinstance(path, str) else path
    if not source.is_file():
        raise UserError(f"language model {source} does not exist")
    try:
        with _opened(source) as stream:
            table = _Reader(source, number, vocabulary).read(stream)
            while stream.read(2**20):
                pass  # the checksum of a packed file stands at its end
            return table
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source} is not UTF-8 text: {error}; KenLM binaries must be given as ARPA"
        ) from None
    except (gzip.BadGzipFile, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(f"{source} is packed, and not whole ({error}): copy it again") from None


def _opened(source: ArpaFile) -> TextIO:
    if isinstance(source, Path) and source.suffix == ".gz":
        return gzip.open(source, "rt", encoding="utf-8-sig", newline="\n")
    return io.TextIOWrapper(source.open("rb"), encoding="utf-8-sig", newline="\n")


class _Reader:
    def __init__(self, path: ArpaFile, number: Callable[[str], int | None], vocabulary: int) -> None:
        self.path = path
        self.number = number
        self.table = NgramTable(vocabulary)
        self.counts: dict[int, int] = {}
        self.line = 0
        self.seen = 0
        self.lowest = 0.0
        self.unk: float | None = None
        self.level = _Level()
        self.context: list[str] = []
        self.place: int | None = 0

    def read(self, stream: Iterator[str]) -> NgramTable:
        section = -1  # -1 before \data\, 0 in it, n in the n-grams
        for self.line, raw in enumerate(stream, 1):
            text = raw.strip("\r\n ")
            if not text:
                continue
            if section == -1:  # remarks may stand in front
                section = 0 if text == "\\data\\" else -1
            elif section >= 1 and text[0] != "\\":  # first, for speed: nearly all lines are such
                self._ngram(section, text)
            elif text == "\\end\\":
                self._close(section)
                if section != max(self.counts, default=0) or section < 1:
                    raise self._error(f"\\end\\ after the {section}-grams, of {max(self.counts, default=0)}")
                self.table.unknown = self.lowest if self.unk is None else self.unk
                return self.table
            elif match := _SECTION.fullmatch(text):
                self._close(section)
                if int(match[1]) != section + 1 or section + 1 not in self.counts:
                    raise self._error(f"{text} does not follow the sections before it and \\data\\")
                section += 1
            elif section == 0 and (match := _COUNT.fullmatch(text)):
                self.counts[int(match[1])] = int(match[2])
            elif section >= 1:  # begins with a backslash and is no mark: refused there, with its line
                self._ngram(section, text)
            elif section == 0:
                raise self._error(f"{text[:60]!r} stands where `ngram 1=...` was expected")
        what = "it has no \\data\\ section" if section == -1 else "it ends without \\end\\: copy it again"
        raise UserError(f"{self.path} is no ARPA language model: {what}")

    def _ngram(self, order: int, text: str) -> None:
        fields = text.split("\t") if "\t" in text else text.split(" ")
        if "\t" in text:
            fields = [fields[0], *fields[1].split(" "), *fields[2:]]
        fields = [field for field in fields if field]
        if len(fields) not in (order + 1, order + 2):
            raise self._error(f"not a probability, {order} word(s) and at most a back-off weight: {text!r}")
        try:
            log = float(fields[0]) * LN10
            backoff = float(fields[order + 1]) * LN10 if len(fields) > order + 1 else 0.0
        except ValueError:
            raise self._error(f"a weight is no number: {text!r}") from None
        if not log <= 1e-6:
            raise self._error(f"{fields[0]} is no logarithm of a probability")
        if not backoff < math.inf:  # or the first stream to meet it would end in an error
            raise self._error(f"{fields[order + 1]} is no back-off weight")
        self.seen += 1
        words = fields[1 : order + 1]
        if order == 1:
            if words[0].lower() == "<unk>":
                self.unk = log
            self.lowest = min(self.lowest, log) if log > -90 * LN10 else self.lowest
        last, place = self.number(words[-1]), self._place(words[:-1])
        if last is None or place is None:
            return
        if place < 0:
            raise self._error(f"{' '.join(words)!r}: its first {order - 1} word(s) are no {order - 1}-gram")
        self.level.add(place * self.table.vocabulary + last, log, backoff)

    def _place(self, context: list[str]) -> int | None:
        """The number of a context on its level, -1 where it is not there, None where a word has no id."""
        if context != self.context:  # most files list the n-grams of a context one after the other
            ids = [self.number(word) for word in context]
            known = [word for word in ids if word is not None]
            self.place = self.table.find(known) if len(known) == len(ids) else None
            self.context = context
        return self.place

    def _close(self, section: int) -> None:
        """End a section: sort it into the table."""
        if section < 1:
            return
        if self.seen != self.counts[section]:
            raise self._error(
                f"there are {self.seen} {section}-grams, but \\data\\ says {self.counts[section]}"
            )
        keys, logs, backoffs = self.level.ordered()
        twice = next((i for i in range(1, len(keys)) if keys[i] == keys[i - 1]), None)
        if twice is not None:
            raise self._error(f"a {section}-gram is listed twice")
        self.table.add_level(keys, logs, backoffs)
        self.level, self.seen = _Level(), 0

    def _error(self, what: str) -> UserError:
        return UserError(f"{self.path}:{self.line}: {what}")


class _Level:
    """The n-grams of one length in the order of the file."""

    def __init__(self) -> None:
        self.keys, self.logs, self.backoffs = array("q"), array("f"), array("f")

    def add(self, key: int, log: float, backoff: float) -> None:
        self.keys.append(key)
        self.logs.append(log)
        self.backoffs.append(backoff)

    def ordered(self) -> tuple[array[int], array[float], array[float]]:
        """Sorted by key."""
        if not self.keys:
            return self.keys, self.logs, self.backoffs
        order = torch.frombuffer(self.keys, dtype=torch.long).argsort()
        parts: list[Any] = []
        for values, dtype in (
            (self.keys, torch.long),
            (self.logs, torch.float),
            (self.backoffs, torch.float),
        ):
            ordered = torch.frombuffer(values, dtype=dtype)[order]
            parts.append(array(values.typecode, ordered.numpy().tobytes()))
        return parts[0], parts[1], parts[2]
