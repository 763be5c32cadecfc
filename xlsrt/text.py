"""Token ids to text and words, for SentencePiece pieces and characters, in every script."""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.units import FRAME_SECONDS

SPACE_MARK = "▁"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPECIAL = ("<blank>", "<sos/eos>")


@dataclass(frozen=True)
class Word:
    """One word.

    Attributes:
        start, end: seconds from the start of the stream; its first token was emitted at ``start``, its last
            token's joint frame ended at ``end``.
        confidence: geometric mean of its tokens' probabilities.
    """

    text: str
    start: float
    end: float
    confidence: float


class TokenModel:
    """The vocabulary: ESPnet's token list ("<blank>" first) and how its tokens make text.

    Args:
        token_list: tokens by id.
        token_type: "bpe" (SentencePiece pieces, of any SentencePiece model type) or "char".
        bpe_model: the SentencePiece file, or its content; needed by `encode` only.
        space: the token that stands for a space ("char" only).
    """

    def __init__(
        self,
        token_list: Sequence[str],
        token_type: str = "bpe",
        bpe_model: Path | str | bytes | None = None,
        space: str = "<space>",
    ) -> None:
        if token_type not in ("bpe", "char"):
            raise UserError(f"token_type is {token_type!r}; the recogniser knows bpe and char")
        if not token_list or token_list[0] != "<blank>":
            raise UserError('the token list must begin with "<blank>"')
        self.token_list = list(token_list)
        self.token_type = token_type
        self.bpe_model = Path(bpe_model) if isinstance(bpe_model, str) else bpe_model
        self.space = space
        self._ids = {token: index for index, token in enumerate(self.token_list)}
        self._bytes = [self._byte(token) for token in self.token_list]
        self._texts = [self._text(token) for token in self.token_list]
        self._processor: Any = None

    def __len__(self) -> int:
        return len(self.token_list)

    @property
    def spaces(self) -> frozenset[int]:
        """Ids of the tokens that write spaces and nothing else."""
        return frozenset(index for index, text in enumerate(self._texts) if text.isspace())

    def _byte(self, token: str) -> int | None:
        match = _BYTE.fullmatch(token) if self.token_type == "bpe" else None
        return int(match.group(1), 16) if match else None

    def _text(self, token: str) -> str:
        """What a token adds to the text; spaces are plain spaces."""
        if token in _SPECIAL:
            return ""
        if token == "<unk>":
            return " \u2047 " if self.token_type == "bpe" else "\u2047"
        if self.token_type == "char":
            return " " if token == self.space else token
        return token.replace(SPACE_MARK, " ")

    def _chunks(self, ids: Sequence[int]) -> list[tuple[str, int]]:
        """(text, index of the token it ends with): one for each token or run of byte pieces."""
        chunks: list[tuple[str, int]] = []
        run = bytearray()
        for index, token in enumerate(ids):
            byte = self._bytes[token]
            if byte is not None:
                run.append(byte)
                continue
            if run:
                chunks.append((run.decode("utf-8", errors="replace"), index - 1))
                run = bytearray()
            chunks.append((self._texts[token], index))
        if run:
            chunks.append((run.decode("utf-8", errors="replace"), len(ids) - 1))
        return chunks

    def text(self, ids: Sequence[int], lead: bool = False) -> str:
        """Ids to text. ``lead`` keeps the space in front, for text that continues a line."""
        text = "".join(text for text, _ in self._chunks(ids))
        return text if lead else text.removeprefix(" ")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Ids to tokens as the token list spells them."""
        return [self.token_list[index] for index in ids]

    def whole_characters(self, ids: Sequence[int]) -> int:
        """How many leading tokens form whole characters: byte pieces at the end may go on."""
        count = len(ids)
        while count and self._bytes[ids[count - 1]] is not None:
            count -= 1
        return count

    def words(
        self,
        ids: Sequence[int],
        frames: Sequence[int],
        probs: Sequence[float],
        group: int = 1,
        limit: int | None = None,
    ) -> list[Word]:
        """Words at the spaces, with times and confidence.

        Args:
            ids, frames, probs: the fields of a `Hypothesis`.
            group: encoder frames per joint frame, for the end of the last token.
            limit: encoder frames that there are; the last joint frame may have been filled up.
        """
        words: list[Word] = []
        for text, first, last in self.spans(ids):
            logs = [math.log(max(probs[i], 1e-30)) for i in range(first, last + 1)]
            confidence = math.exp(sum(logs) / len(logs))
            after = frames[last] + group if limit is None else min(frames[last] + group, limit)
            start, end = frames[first] * FRAME_SECONDS, after * FRAME_SECONDS
            words.append(Word(text, round(start, 3), round(end, 3), confidence))
        return [_until(word, after) for word, after in itertools.zip_longest(words, words[1:])]

    def spans(self, ids: Sequence[int]) -> list[tuple[str, int, int]]:
        """Words at the spaces, each with the places in ``ids`` of its first and last token."""
        found: list[tuple[str, int, int]] = []
        text, first, last = "", 0, 0
        used = 0
        for chunk, index in self._chunks(ids):
            for character in chunk:
                if not character.isspace():
                    if not text:
                        first = used
                    text += character
                    last = index
                elif text:
                    found.append((text, first, last))
                    text = ""
            used = index + 1
        return [*found, (text, first, last)] if text else found

    def encode(self, text: str) -> list[int]:
        """Text to ids; characters that the vocabulary lacks become "<unk>"."""
        if self.token_type == "char":
            pieces = [self.space if character == " " else character for character in text]
        else:
            pieces = self._sentencepiece().encode(text, out_type=str)
        unknown = self._ids.get("<unk>", 0)
        return [self._ids.get(piece, unknown) for piece in pieces]

    def model_bytes(self) -> bytes:
        """The SentencePiece model."""
        if isinstance(self.bpe_model, bytes):
            return self.bpe_model
        if self.bpe_model is None or not self.bpe_model.is_file():
            raise UserError(
                f"the model's SentencePiece model ({self.bpe_model or 'bpe.model'}) is missing, and without "
                "it text cannot be cut into tokens: copy the model again, with that file"
            )
        return self.bpe_model.read_bytes()

    def check_pieces(self, where: str) -> None:
        """Raise `UserError` where the SentencePiece model, if it is there, lacks tokens of the list.

        Nothing is checked where the package sentencepiece is not installed: recognising does without it.
        """
        there = isinstance(self.bpe_model, bytes) or (self.bpe_model is not None and self.bpe_model.is_file())
        if self.token_type != "bpe" or not there or importlib.util.find_spec("sentencepiece") is None:
            return
        try:
            processor = self._sentencepiece()
        except (RuntimeError, OSError) as error:
            raise UserError(f"{where}: its SentencePiece model is damaged ({error}): copy it again") from None
        pieces = {processor.id_to_piece(i) for i in range(processor.get_piece_size())}
        known = {*pieces, *_SPECIAL, "<unk>"}
        if strangers := [token for token in self.token_list if token not in known]:
            raise UserError(
                f"{where}: its SentencePiece model lacks {len(strangers)} of its tokens, such as "
                f"{', '.join(map(repr, strangers[:3]))}: they belong to different models; copy both from one"
            )

    def _sentencepiece(self) -> Any:
        if self._processor is None:
            import sentencepiece

            self._processor = sentencepiece.SentencePieceProcessor(model_proto=self.model_bytes())
        return self._processor


def _until(word: Word, after: Word | None) -> Word:
    """A word that ends where the next one starts, if that is not at once: joint frames may overlap by one."""
    overlaps = after is not None and word.start < after.start < word.end
    return replace(word, end=after.start) if after is not None and overlaps else word
