"""Reader of Common Voice: any version and language, or several languages as one corpus.

A release is ``cv-corpus-<version>/<language>/`` with ``train.tsv``, ``dev.tsv``, ``test.tsv``,
``validated.tsv`` and ``clips/*.mp3``. Sets: ``train``, ``dev``, ``test``, and ``test_<language>`` where there
are several. No speaker (``client_id``) is in two of train, dev and test, over all languages together. The
table ``utt2lang`` names each utterance's language: the one of the column ``locale``; without it (before
version 5) that of the folder's name, or of ``--languages`` where a single folder is called otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from xlsrt.data.multilingual import Sink, add_language_arguments, fill_sets, find_languages, need_table
from xlsrt.data.text_rules import add_text_argument, make_rules
from xlsrt.data.tsv import read_tsv

NAME = "common_voice"
HELP = "Mozilla Common Voice: --source is a release (its language folders) or the folder of one language"
WHERE = (
    "get a release from commonvoice.mozilla.org/datasets, which leads to the Mozilla Data Collective "
    "(datacollective.mozillafoundation.org), unpack it and give the folder that it makes"
)

_CLIENT = 16  # hexadecimal digits of a client id that are kept: 64 bits tell people apart


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_language_arguments(parser, "cv-corpus-<version>, or the folder with train.tsv and clips/", "et ca be")
    parser.add_argument(
        "--train_from",
        choices=("train", "validated"),
        default="train",
        help="validated: all validated clips but those of dev and test, their speakers and their sentences "
        "(default: %(default)s, the official set, which has each sentence once)",
    )
    add_text_argument(parser, "full")


def prepare(args: argparse.Namespace) -> None:
    folders = find_languages(Path(args.source), "train.tsv", args.languages, WHERE, _locale)
    reader = _Reader(args.train_from, folders, args.text_rules)
    # In this order: whoever is in test is not in dev, and whoever is in either is not in train.
    fill_sets(Path(args.output_dir), folders, reader.read, WHERE, ("test", "dev", "train"))


def _locale(folder: Path) -> str | None:
    """The language that the first row of the tables names; None: no row does."""
    tables = [path for name in ("train", "dev", "test") if (path := folder / f"{name}.tsv").is_file()]
    rows = chain.from_iterable(read_tsv(path, lambda where, reason: None) for path in tables)
    _, row = next(rows, ("", {}))
    return row.get("locale", "").strip() or None


class _Reader:
    """Reads one table after the other and remembers what dev and test hold: training must not."""

    def __init__(self, train_from: str, languages: Iterable[str], strength: str) -> None:
        self.train_from = train_from
        self.rules = {language: make_rules(language, strength) for language in languages}
        self.heard: dict[str, str] = {}
        self.sentences: set[bytes] = set()

    def read(self, folder: Path, part: str, sink: Sink) -> None:
        name = self.train_from if part == "train" else part
        table = need_table(folder / f"{name}.tsv", WHERE)
        rules = self.rules[sink.language]
        for where, row in read_tsv(table, sink.drop, need=("client_id", "path", "sentence")):
            client = row["client_id"][:_CLIENT]
            if not client or not row["path"]:
                sink.drop(where, "no client_id or no path")
                continue
            # Early releases leave the suffix out.
            clip = row["path"] if "." in row["path"] else row["path"] + ".mp3"
            utt = f"{client}-{Path(clip).stem}"
            if self.heard.get(client, part) != part:
                sink.drop(utt, f"speaker is in {self.heard[client]} too: {client}")
                continue
            text, problem = rules(row["sentence"])
            if problem:
                sink.drop(utt, problem)
                continue
            sentence = hashlib.blake2b(f"{sink.language} {text}".encode(), digest_size=8).digest()
            if part != "train":
                self.heard[client] = part
                self.sentences.add(sentence)
            elif name == "validated" and sentence in self.sentences:
                sink.drop(utt, f"sentence is in dev or test: {text}")
                continue
            sink.add(utt, client, text, folder / "clips" / clip)
