"""Reader of Multilingual LibriSpeech: ``mls_<language>[_opus]/{train,dev,test}/``.

A line of ``transcripts.txt`` there is ``<speaker>_<book>_<number>``, a tab and the text; the audio is
``audio/<speaker>/<book>/<name>.flac`` (or ``.opus``). Sets: ``train``, ``dev``, ``test``, and
``test_<language>`` where there are several. With ``--limited 9hr`` or ``1hr`` train is the official small set
of ``train/limited_supervision``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xlsrt.data.multilingual import Sink, choose_languages, fill_sets, need_table
from xlsrt.data.tables import decode_line
from xlsrt.data.text_rules import TextRules, add_text_argument, make_rules
from xlsrt.data.tsv import read_lines, read_tsv
from xlsrt.errors import UserError

NAME = "mls"
HELP = (
    "Multilingual LibriSpeech: --source is one or more mls_<language> folders (flac or opus), or holds them"
)
WHERE = "get mls_<language>.tar.gz (or _opus) from www.openslr.org/94, unpack it and give its folder"

_CODES = {
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "polish": "pl",
    "portuguese": "pt",
    "spanish": "es",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        required=True,
        nargs="+",
        help="mls_spanish, mls_italian_opus ...; or a folder in which such folders lie",
    )
    parser.add_argument(
        "--languages", nargs="+", default=[], help="codes such as es it (default: all of the source)"
    )
    parser.add_argument(
        "--limited", choices=("9hr", "1hr"), help="train on the official small set instead of the whole"
    )
    # The transcripts are published in lower case without punctuation: even hyphens are those of words.
    add_text_argument(parser, "none")


def prepare(args: argparse.Namespace) -> None:
    found: dict[str, list[Path]] = {}
    for source in map(Path, args.source):
        within = [path for path in sorted(source.glob("mls_*")) if path.is_dir()]
        for folder in within or [source]:
            found.setdefault(_language_of(folder), []).append(folder)
    folders = choose_languages(found, args.languages, " ".join(args.source))
    rules = {language: make_rules(language, args.text_rules) for language in folders}

    def read(folder: Path, part: str, sink: Sink) -> None:
        chosen = _limited(folder, args.limited) if part == "train" and args.limited else None
        _read(folder / part, sink, rules[sink.language], chosen)

    fill_sets(Path(args.output_dir), folders, read, WHERE)


def _language_of(folder: Path) -> str:
    """The code of the language that the folder's name tells."""
    if not folder.is_dir():
        raise UserError(f"--source {folder}: no such folder: {WHERE}")
    words = folder.resolve().name.split("_")
    if len(words) < 2 or words[0] != "mls" or words[1] not in _CODES:
        raise UserError(
            f"--source {folder}: its name is not mls_<language> with one of {', '.join(_CODES)}: {WHERE}"
        )
    return _CODES[words[1]]


def _limited(folder: Path, amount: str) -> set[str]:
    """Utterances of the official small sets; the hour comes in six parts."""
    root = folder / "train" / "limited_supervision" / amount
    handles = sorted(root.glob("handles.txt")) + sorted(root.glob("*/handles.txt"))
    lines = (decode_line(raw, f"{path}:{number}") for path in handles for number, raw in read_lines(path))
    names = {line.strip() for line in lines} - {""}
    if not names:
        raise UserError(f"--limited {amount}: no handles.txt in {root}: {WHERE}")
    return names


def _read(folder: Path, sink: Sink, rules: TextRules, chosen: set[str] | None) -> None:
    table = need_table(folder / "transcripts.txt", WHERE)
    suffix = None
    left = set(chosen or ())
    for where, row in read_tsv(table, sink.drop, columns=("name", "text")):
        name = row["name"]
        if chosen is not None and name not in chosen:
            continue
        left.discard(name)
        words = name.split("_")
        if len(words) != 3:
            sink.drop(where, f"name is not speaker_book_number: {name}")
            continue
        text, problem = rules(row["text"])
        if problem:
            sink.drop(name, problem)
            continue
        speaker, book = words[:2]
        place = folder / "audio" / speaker / book
        suffix = suffix or _suffix(place / name)
        sink.add(name, speaker, text, place / (name + (suffix or ".flac")))
    for name in sorted(left):
        sink.drop(name, "in handles.txt, not in transcripts.txt")


def _suffix(audio: Path) -> str | None:
    """Of the first file that is there: all are of one kind, and looking through the folders takes minutes."""
    return next(
        (suffix for suffix in (".flac", ".opus") if audio.with_name(audio.name + suffix).exists()), None
    )
