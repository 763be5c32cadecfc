"""Token models: SentencePiece or characters, with ESPnet's token list conventions.

``tokens.txt`` holds one token a line: ``<blank>`` first, ``<unk>`` second, ``<sos/eos>`` last; the line
number from 0 is the token's id. A BPE list comes with the SentencePiece model ``bpe.model`` beside it.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from xlsrt.data.speeds import original_names
from xlsrt.data.tables import load_table, read_table
from xlsrt.errors import UserError
from xlsrt.files import atomic_open

BLANK, UNK, SPACE, SOS_EOS = "<blank>", "<unk>", "<space>", "<sos/eos>"
BPE_MODES = ("unigram", "bpe", "word", "char")


class Tokenizer(Protocol):
    """Cuts a transcript into tokens of its list."""

    def tokens(self, text: str) -> list[str]: ...


class BpeTokenizer:
    """SentencePiece pieces."""

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.processor = _load_sentencepiece(Path(model))

    def tokens(self, text: str) -> list[str]:
        return self.processor.encode_as_pieces(text)

    def vocabulary(self) -> list[str]:
        """The pieces that stand in a token list, in order."""
        return _pieces(self.processor)


class CharTokenizer:
    """Single characters; a blank is ``<space>``."""

    def tokens(self, text: str) -> list[str]:
        return [SPACE if char == " " else char for char in text]


def make_tokenizer(token_type: str, bpemodel: str | os.PathLike[str] | None = None) -> Tokenizer:
    """The tokenizer of an option pair ``--token_type`` and ``--bpemodel``."""
    if token_type == "char":
        return CharTokenizer()
    if token_type == "bpe":
        if bpemodel is None:
            raise UserError("--token_type bpe needs --bpemodel: the bpe.model beside tokens.txt")
        return BpeTokenizer(bpemodel)
    raise UserError(f"--token_type {token_type}: choose bpe or char")


def train_bpe(
    texts: Iterable[str],
    directory: str | os.PathLike[str],
    *,
    size: int,
    mode: str = "unigram",
    character_coverage: float = 1.0,
    user_defined: Sequence[str] = (),
    seed_sentences: int = 5_000_000,
) -> list[str]:
    """Train SentencePiece; writes ``bpe.model`` and ``tokens.txt``, each atomically; returns the token list.

    Text is taken as it is (no normalisation), so that decoded text compares with the reference. The list has
    ``size`` tokens. At most ``seed_sentences`` sentences, drawn evenly, are looked at.

    Raises:
        UserError: no text, or the corpus has too few characters or pieces for ``size``; says which sizes do.
    """
    import sentencepiece

    if mode not in BPE_MODES:
        raise UserError(f"--bpemode {mode}: choose one of {', '.join(BPE_MODES)}")
    counted = _Counted(texts)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(counted),
            model_writer=model,
            vocab_size=size,
            model_type=mode,
            character_coverage=character_coverage,
            normalization_rule_name="identity",
            user_defined_symbols=list(user_defined),
            input_sentence_size=seed_sentences,
            shuffle_input_sentence=True,
            max_sentence_length=1 << 20,
            num_threads=1,  # same model from the same text on any machine
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        if not counted.count:
            raise UserError("there is no text to train tokens from: give transcripts with --text") from None
        raise UserError(_size_advice(size, str(error))) from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens = [BLANK, UNK, *_pieces(processor), SOS_EOS]
    folder = Path(directory)
    with atomic_open(folder / "bpe.model", "wb") as stream:
        stream.write(model.getvalue())
    _write_tokens(folder, tokens)
    return tokens


def train_char(texts: Iterable[str], directory: str | os.PathLike[str]) -> list[str]:
    """Characters by falling frequency; writes ``tokens.txt``; returns the token list."""
    counts: Counter[str] = Counter()
    tokenizer = CharTokenizer()
    for text in texts:
        counts.update(tokenizer.tokens(text))
    if not counts:
        raise UserError("there is no text to train tokens from: give transcripts with --text")
    ordered = sorted(counts, key=lambda token: (-counts[token], token))
    tokens = [BLANK, UNK, *ordered, SOS_EOS]
    _write_tokens(Path(directory), tokens)
    return tokens


def read_token_list(path: str | os.PathLike[str]) -> list[str]:
    """Read ``tokens.txt``.

    Raises:
        UserError: missing, not UTF-8, a token twice, or not in ESPnet's order.
    """
    try:
        tokens = Path(path).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): run the token stage first") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8: train the tokens anew") from None
    if tokens and tokens[-1] == "":
        tokens.pop()
    if len(tokens) < 4 or tokens[0] != BLANK or tokens[1] != UNK or tokens[-1] != SOS_EOS:
        raise UserError(f"{path}: no token list: it starts with {BLANK} and {UNK} and ends with {SOS_EOS}")
    twice = [token for token, count in Counter(tokens).items() if count > 1]
    if twice:
        raise UserError(f"{path}: the token '{twice[0]}' comes twice")
    return tokens


def check_token_model(
    token_list: Sequence[str], token_type: str, bpemodel: str | os.PathLike[str] | None
) -> None:
    """Raise `UserError` unless the SentencePiece model makes just the tokens of the list."""
    if token_type != "bpe":
        return
    tokenizer = make_tokenizer(token_type, bpemodel)
    assert isinstance(tokenizer, BpeTokenizer)
    check_same_vocabulary(
        [BLANK, UNK, *tokenizer.vocabulary(), SOS_EOS], token_list, str(bpemodel), "the token list"
    )


def check_same_vocabulary(ours: Sequence[str], theirs: Sequence[str], our_name: str, their_name: str) -> None:
    """Raise `UserError`, with the first difference, unless two token lists agree.

    Meant for a token model (``ours``) and a checkpoint (``theirs``).
    """
    if list(ours) == list(theirs):
        return
    if len(ours) != len(theirs):
        how = f"{len(ours)} tokens against {len(theirs)}"
    else:
        at = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        how = f"token {at} is '{ours[at]}' against '{theirs[at]}'"
    raise UserError(
        f"{our_name} has another vocabulary than {their_name} ({how}): use the token model that the "
        "checkpoint was trained with, or train from an encoder (--pretrained) instead of a whole model"
    )


class _Counted:
    def __init__(self, texts: Iterable[str]) -> None:
        self.texts, self.count = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            self.count += 1
            yield text


def read_texts(paths: Iterable[str | os.PathLike[str]], copies: bool = True) -> Iterator[str]:
    """The transcripts of Kaldi ``text`` files, one after the other.

    copies: an utterance's copies at other speeds count too; else it counts once. The ``utt2spk`` beside the
        file tells whether ``sp0.9-...`` is one; without it, the same words do.
    """
    seen: set[tuple[str, str]] = set()
    for path in paths:
        speakers = Path(path).with_name("utt2spk")
        speaker_of = {} if copies or not speakers.is_file() else load_table(speakers)
        for utt, text in read_table(path):
            if not copies:
                # Where nobody tells the speakers, what looks like a copy and has the same words is one.
                key = (original_names(utt, speaker_of.get(utt, utt))[0], text)
                if key in seen:
                    continue
                seen.add(key)
            if not text:
                raise UserError(f"{path}: utterance '{utt}' has an empty transcript: transcribe or remove it")
            yield text


def _load_sentencepiece(path: Path):  # type: ignore[no-untyped-def]  # sentencepiece has no types
    import sentencepiece

    if not path.is_file():
        raise UserError(f"{path}: no such SentencePiece model: run the token stage first")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError):
        raise UserError(f"{path}: not a SentencePiece model: train the tokens anew") from None


def _pieces(processor) -> list[str]:  # type: ignore[no-untyped-def]
    special = {"<unk>", "<s>", "</s>"}
    pieces = (processor.id_to_piece(i) for i in range(processor.get_piece_size()))
    return [piece for piece in pieces if piece not in special]


def _write_tokens(folder: Path, tokens: list[str]) -> None:
    with atomic_open(folder / "tokens.txt") as stream:
        stream.writelines(token + "\n" for token in tokens)


def _size_advice(size: int, message: str) -> str:
    high = re.search(r"value <= (\d+)", message)
    if high:
        return (
            f"--nbpe {size} is more than this text gives: use --nbpe {high[1]} or less, or --token_type char"
        )
    low = re.search(r"required_chars.*?(\d+)", message) or re.search(r"smaller than.*?(\d+)", message)
    if "required_chars" in message or low:
        return f"--nbpe {size} is less than the text has characters: use a larger --nbpe ({message.strip()})"
    return f"SentencePiece could not be trained with --nbpe {size}: {message.strip()}"
