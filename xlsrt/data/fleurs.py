"""Reader of FLEURS: ``<language>/{train,dev,test}.tsv``, recordings below ``audio/<set>/`` or ``<set>/``.

The tables have no header: sentence number, file, text as written, text as normalised, characters, samples,
gender. Speakers are not named, so each utterance is its own. A sentence has several recordings. Sets:
``train``, ``dev``, ``test``, and ``test_<language>`` where there are several languages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xlsrt.data.multilingual import Sink, add_language_arguments, fill_sets, find_languages, need_table
from xlsrt.data.text_rules import TextRules, add_text_argument, make_rules
from xlsrt.data.tsv import read_tsv
from xlsrt.errors import UserError

NAME = "fleurs"
HELP = "FLEURS: --source has a folder for each language (et_ee, ca_es ...), with tables and unpacked audio"
WHERE = "get data/<language>/*.tsv and audio/*.tar.gz of google/fleurs on huggingface.co, unpack the audio"

_COLUMNS = ("id", "file", "raw", "text", "characters", "samples", "gender")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_language_arguments(parser, "folder of the language folders, or one of them", "et_ee ca_es")
    # Digits stand in the official transcripts; to leave such utterances out of test would change the set.
    add_text_argument(parser, "light")


def prepare(args: argparse.Namespace) -> None:
    folders = find_languages(Path(args.source), "train.tsv", args.languages, WHERE)
    rules = {language: make_rules(language, args.text_rules) for language in folders}

    def read(folder: Path, part: str, sink: Sink) -> None:
        _read(folder, part, sink, rules[sink.language])

    fill_sets(Path(args.output_dir), folders, read, WHERE)


def _read(folder: Path, part: str, sink: Sink, rules: TextRules) -> None:
    table = need_table(folder / f"{part}.tsv", WHERE)
    places = [folder / "audio" / part, folder / part]
    audio = next((place for place in places if place.is_dir()), None)
    if audio is None:
        raise UserError(f"{places[0]}: no such folder: unpack {part}.tar.gz in {places[0].parent}")
    for where, row in read_tsv(table, sink.drop, columns=_COLUMNS):
        if not row["id"].isdigit() or not row["file"]:
            sink.drop(where, f"no sentence number or no file: {row['id']} {row['file']}")
            continue
        utt = f"{int(row['id']):05d}-{Path(row['file']).stem}"
        text, problem = rules(row["text"])
        if problem:
            sink.drop(utt, problem)
            continue
        sink.add(utt, utt, text, audio / row["file"])
