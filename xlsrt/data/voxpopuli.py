"""Reader of VoxPopuli's transcribed part: ``transcribed_data/<language>/asr_{train,dev,test}.tsv`` and audio.

As its own ``get_asr_data`` leaves it: columns ``id``, ``raw_text``, ``normalized_text``, ``speaker_id``,
``split``, ``gender``, and the recording of an id at ``<year>/<id>.ogg``, the year being the id's first four
digits. Or as Hugging Face has it, archives unpacked: ``<language>/train/train_part_0/<id>.wav``. Sets:
``train``, ``dev``, ``test``, and ``test_<language>`` where there are several languages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xlsrt.data.multilingual import Sink, add_language_arguments, fill_sets, find_languages, need_table
from xlsrt.data.text_rules import TextRules, add_text_argument, make_rules
from xlsrt.data.tsv import read_tsv
from xlsrt.data.walk import files_below

NAME = "voxpopuli"
HELP = "VoxPopuli, transcribed: --source is transcribed_data (its language folders), or one of them"
WHERE = (
    "run `python -m voxpopuli.download_audios --root ROOT --subset asr` and `python -m "
    "voxpopuli.get_asr_data --root ROOT --lang es` (once for each language) in a clone of "
    "github.com/facebookresearch/voxpopuli and give the folder ROOT/transcribed_data"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_language_arguments(parser, "transcribed_data, or the folder of one language", "et es")
    add_text_argument(parser, "light")


def prepare(args: argparse.Namespace) -> None:
    folders = find_languages(Path(args.source), "asr_train.tsv", args.languages, WHERE)
    rules = {language: make_rules(language, args.text_rules) for language in folders}

    def read(folder: Path, part: str, sink: Sink) -> None:
        _read(folder, part, sink, rules[sink.language])

    fill_sets(Path(args.output_dir), folders, read, WHERE)


def _read(folder: Path, part: str, sink: Sink, rules: TextRules) -> None:
    table = need_table(folder / f"asr_{part}.tsv", WHERE)
    unpacked = {path.stem: path for path in files_below(folder / part, "*.wav")}
    for where, row in read_tsv(table, sink.drop, need=("id", "raw_text", "normalized_text", "speaker_id")):
        name = row["id"]
        if not name:
            sink.drop(where, "no id")
            continue
        # Some speakers are unknown ("None"): they must not become one person.
        known = row["speaker_id"] not in ("", "None", "nan")
        speaker = row["speaker_id"] if known else f"unknown_{name}"
        utt = f"{speaker}-{name}"
        text, problem = rules(row["normalized_text"] or row["raw_text"])
        if problem:
            sink.drop(utt, problem)
            continue
        sink.add(utt, speaker, text, unpacked.get(name, folder / name[:4] / f"{name}.ogg"))
