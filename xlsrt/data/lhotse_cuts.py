"""Reader of lhotse's cut manifests, ``cuts.jsonl`` or ``cuts.jsonl.gz``; lhotse itself is not needed.

Each supervision of a cut is an utterance: its stretch of the recording, its text, speaker and language. What
a Kaldi directory cannot hold (mixtures, audio in memory or behind commands, one channel of a file with
several) is left out with its reason.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xlsrt.data.own_data import Entry, add_own_arguments, as_text, make_sets
from xlsrt.data.tsv import read_lines
from xlsrt.errors import UserError

NAME = "lhotse"
HELP = "lhotse cut manifests: --source cuts_train.jsonl.gz --dev cuts_dev.jsonl.gz --test cuts_test.jsonl.gz"

_SAME_SECONDS = 0.005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_own_arguments(parser, "one or more cut manifests (.jsonl or .jsonl.gz)")


def prepare(args: argparse.Namespace) -> None:
    make_sets(args, read)


def read(path: Path) -> Iterator[Entry]:
    """The supervisions of a manifest. Raises `UserError` where it is no cut manifest."""
    if path.is_dir():
        raise UserError(f"--source {path}: is a folder: give a manifest of cuts in it (.jsonl.gz)")
    for number, raw in read_lines(path):
        where = f"{path.name}:{number}"
        if not raw.strip():
            continue
        try:
            cut = json.loads(raw)
        except ValueError as error:
            raise UserError(f"{path}:{number}: no JSON ({error}): give a manifest of cuts (.jsonl)") from None
        if not isinstance(cut, dict) or ("type" not in cut and "supervisions" not in cut):
            raise UserError(f"{path}:{number}: is no cut: make one with `lhotse cut simple`")
        yield from _supervisions(where, cut, path.parent)


def _supervisions(where: str, cut: dict[str, Any], base: Path) -> Iterator[Entry]:
    name = str(cut.get("id", where))
    if cut.get("type") in ("MixedCut", "PaddingCut"):
        yield Entry(where, utt=name, problem=f"is mixed or padding: {cut['type']}")
        return
    if not cut.get("supervisions"):
        yield Entry(where, utt=name, problem="no supervision")
        return
    for supervision in cut["supervisions"]:
        yield _entry(where, cut, supervision, base)


def _entry(where: str, cut: dict[str, Any], supervision: dict[str, Any], base: Path) -> Entry:
    utt = str(supervision.get("id", cut.get("id", where)))
    recording = cut.get("recording")
    if not recording:
        return Entry(where, utt=utt, problem="no recording: the cut has features alone")
    channel = supervision.get("channel", cut.get("channel", 0))
    channel = channel[0] if isinstance(channel, list) else channel
    source = next((s for s in recording["sources"] if channel in s["channels"]), None)
    if source is None:
        return Entry(where, utt=utt, problem=f"no source for channel {channel}")
    if source["type"] != "file":
        return Entry(where, utt=utt, problem=f"its audio is no file: {source['type']}")
    if len(source["channels"]) > 1:
        return Entry(where, utt=utt, problem=f"one channel of several: {source['source']}, split the file")
    if recording.get("transforms"):
        return Entry(where, utt=utt, problem="its recording is transformed: save the cuts' audio first")
    words = {name: supervision.get(name) for name in ("text", "speaker", "language")}
    if odd := [name for name, value in words.items() if isinstance(value, (dict, list))]:
        return Entry(where, utt=utt, problem=f"no text but a structure: {odd[0]} is {words[odd[0]]!r}")
    start = float(cut.get("start", 0.0)) + float(supervision.get("start", 0.0))
    end = start + float(supervision["duration"])
    whole = start < _SAME_SECONDS and end > float(recording["duration"]) - _SAME_SECONDS
    return Entry(
        where,
        base / source["source"] if (base / source["source"]).exists() else Path(source["source"]),
        as_text(words["text"]),
        as_text(words["speaker"]) or None,
        None if whole else max(0.0, start),
        None if whole else end,
        as_text(words["language"]) or None,
        utt,
    )
