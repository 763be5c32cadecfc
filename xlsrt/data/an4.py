"""Reader of CMU AN4 (spelled words, digits, dates; 16 kHz): its distribution, or a data directory of it.

Sets: ``train``, ``dev`` (the first 100 utterances of the official training list by id, as in ESPnet's recipe)
and, where the source has the official test list, ``test``. Transcripts are lower case.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from xlsrt.data.kaldi import Utterance
from xlsrt.data.kaldi_source import read_source
from xlsrt.data.set_tables import write_data_dir
from xlsrt.data.sound_file import write_sound
from xlsrt.data.tables import decode_line
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

NAME = "an4"
HELP = "CMU AN4: --source is the an4 folder of the distribution (etc/, wav/), or a data directory of it"
WHERE = "unpack an4_sphere.tar.gz of www.speech.cs.cmu.edu/databases/an4 and give its folder"

log = logging.getLogger(__name__)

_LINE = re.compile(r"^(?P<words>.*?)\s*\((?P<name>[^()\s]+)\)\s*$")
_SUFFIXES = (".sph", ".raw", ".wav", ".flac")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, help="folder with etc/ and wav/, or with wav.scp, text and utt2spk"
    )
    parser.add_argument(
        "--dev_utterances",
        type=int,
        default=100,
        help="so many of the training list are dev (default: %(default)s)",
    )


def prepare(args: argparse.Namespace) -> None:
    source, output = Path(args.source), Path(args.output_dir)
    parts = read(source, output)
    train = sorted(parts["train"], key=lambda row: row.utt)
    if not 0 < args.dev_utterances < len(train):
        raise UserError(
            f"--dev_utterances {args.dev_utterances}: the training list has {len(train)} utterances"
        )
    sets = {
        "train": train[args.dev_utterances :],
        "dev": train[: args.dev_utterances],
        "test": parts.get("test", []),
    }
    for name, rows in sets.items():
        if rows:
            log.info("%s: %d utterances", output / name, write_data_dir(output / name, rows))
    if not sets["test"]:
        log.info("%s has no test list: there is no test set", source)


def read(source: Path, output: Path) -> dict[str, list[Utterance]]:
    """The official lists by name; the kind of source is told by what lies in it."""
    for root in (source, source / "an4"):
        if (root / "etc" / "an4_train.transcription").is_file():
            lists = {"train": list(_read_list(root, "train", output))}
            if (root / "etc" / "an4_test.transcription").is_file():
                lists["test"] = list(_read_list(root, "test", output))
            return lists
        if (root / "wav.scp").is_file():
            parts: dict[str, list[Utterance]] = {"train": []}
            for row, split in read_source(root):
                parts.setdefault(split or "train", []).append(replace(row, text=(row.text or "").lower()))
            return parts
    if not source.exists():
        raise UserError(f"--source {source}: no such folder: {WHERE}")
    raise UserError(f"--source {source}: neither etc/an4_train.transcription nor wav.scp is in it: {WHERE}")


def _read_list(root: Path, part: str, output: Path) -> Iterator[Utterance]:
    """The utterances of ``etc/an4_<part>.transcription`` with the files of ``etc/an4_<part>.fileids``."""
    files = dict(_read_fileids(root / "etc" / f"an4_{part}.fileids"))
    transcripts = root / "etc" / f"an4_{part}.transcription"
    seen: set[str] = set()
    for number, raw in enumerate(transcripts.read_bytes().splitlines(), 1):
        where = f"{transcripts}:{number}"
        line = decode_line(raw, where).strip()
        if not line:
            continue
        match = _LINE.match(line)
        if match is None:
            raise UserError(f"{where}: '{line}' is not of the form `WORDS (file-name)`")
        name = match["name"]
        words = " ".join(
            word for word in match["words"].lower().split() if word not in ("<s>", "</s>", "<sil>")
        )
        if not words:
            raise UserError(f"{where}: utterance '{name}' has an empty transcript: transcribe or remove it")
        if name in seen:
            raise UserError(f"{where}: duplicate utterance '{name}': remove one of its lines")
        seen.add(name)
        if name not in files:
            raise UserError(
                f"{where}: utterance '{name}' is missing in {root}/etc/an4_{part}.fileids: add its file"
            )
        speaker = name.split("-")[1] if name.count("-") >= 2 else files[name].split("/")[-2]
        utt = f"{speaker}-{name}"
        yield Utterance(utt, speaker, words, _audio(root, files[name], utt, output))
    untold = sorted(files.keys() - seen)
    if untold:
        raise UserError(f"{transcripts}: utterance '{untold[0]}' of the file list has no transcript here")


def _read_fileids(path: Path) -> Iterator[tuple[str, str]]:
    """File name without folders, and path below wav/ without suffix, of each line."""
    if not path.is_file():
        raise UserError(f"{path}: no such file: the distribution is incomplete: {WHERE}")
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        line = decode_line(raw, f"{path}:{number}").strip()
        if line:
            yield line.rsplit("/", 1)[-1], line


def _audio(root: Path, name: str, utt: str, output: Path) -> str:
    for suffix in _SUFFIXES:
        path = root / "wav" / (name + suffix)
        if path.is_file():
            return str(path.absolute()) if suffix != ".raw" else _wrap_raw(path, output, utt)
    raise UserError(f"{root}/wav/{name}: utterance '{utt}': no audio file ({', '.join(_SUFFIXES)}): {WHERE}")


def _wrap_raw(path: Path, output: Path, utt: str) -> str:
    """Headerless 16 kHz, 16-bit samples as a WAV file; either byte order (both were published)."""
    target = output / "local" / "an4_wav" / f"{utt}.wav"
    data = path.read_bytes()
    if len(data) < 2:
        raise UserError(f"{path}: utterance '{utt}': the audio file is empty ({len(data)} bytes)")
    big, little = (np.frombuffer(data, dtype=order, count=len(data) // 2) for order in (">i2", "<i2"))
    # In the wrong byte order speech is noise: neighbours differ far more.
    samples = min(big, little, key=lambda x: float(np.abs(np.diff(x.astype(np.float64))).sum()))
    write_sound(target, samples.astype(np.int16), SAMPLE_RATE)
    return str(target.absolute())
