"""An n-gram model of the recogniser's tokens from transcripts, for beam search."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.data.kneser_ney import estimate_ngram, joined, write_arpa
from xlsrt.data.tokens import (
    BLANK,
    SOS_EOS,
    SPACE,
    UNK,
    Tokenizer,
    make_tokenizer,
    read_texts,
    read_token_list,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """What a recogniser writes.

    Attributes:
        known: its tokens, without blank and the marks of the ends.
        tokenizer: cuts a transcript into them.
        between: tokens that stand between two sentences in a row.
    """

    known: frozenset[str]
    tokenizer: Tokenizer
    between: tuple[str, ...]

    @classmethod
    def read(
        cls, token_list: Path, token_type: str, bpemodel: str | os.PathLike[str] | None = None
    ) -> Tokens:
        """Of tokens.txt, an option ``--token_type`` and, for bpe, the SentencePiece model."""
        known = frozenset(read_token_list(token_list)) - {BLANK, SOS_EOS}
        between = (SPACE,) if token_type == "char" else ()
        return cls(known, make_tokenizer(token_type, bpemodel), between)


def train_token_ngram(
    tokens: Tokens,
    texts: Sequence[Path],
    output: Path,
    *,
    order: int,
    prune: Sequence[int] = (),
    join: int = 1,
    valid_text: Path | None = None,
) -> None:
    """Write an ARPA file and log its size.

    Args:
        texts: Kaldi text files; copies at other speeds (sp0.9-...) count once.
        order, prune: as in `estimate_ngram`.
        join: sentences come alone or up to so many in a row.
        valid_text: Kaldi text file whose perplexity is logged.

    Raises:
        UserError: as `estimate_ngram` and the readers of the files.
    """
    # What the recogniser cannot write is unknown to it.
    sentences = [
        [token if token in tokens.known else UNK for token in tokens.tokenizer.tokens(text)]
        for text in read_texts(texts, copies=False)
    ]
    model = estimate_ngram(joined(sentences, join, tokens.between), order, tokens.known, prune)
    write_arpa(model, output)
    sizes = " ".join(str(len(grams)) for grams in model.probs)
    log.info("%s: %d sentences, n-grams of 1 to %d tokens: %s", output, len(sentences), order, sizes)
    if valid_text is not None:
        bits, count = model.bits(map(tokens.tokenizer.tokens, read_texts([valid_text])))
        told = 2 ** (bits / count), bits / count
        log.info("%s: perplexity %.2f per token, %.2f bits", valid_text, *told)
