"""Reader of lhotse's cut manifests, ``cuts.jsonl`` or ``cuts.jsonl.gz``; lhotse itself is not needed.

Each supervision of a cut is an utterance: its stretch of the recording, its text, speaker and language. What
a Kaldi directory cannot hold (mixtures, audio in memory or behind commands, one channel of a file with
several) is left out with its reason, and so is a cut that is not as lhotse writes them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator, Sequence
from functools import partial
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
    parser.add_argument(
        "--audio_root",
        help="relative sources count from here (default: the manifest's folder, else the current one)",
    )


def prepare(args: argparse.Namespace) -> None:
    make_sets(args, partial(read, root=args.audio_root))


def read(path: Path, root: str | None = None) -> Iterator[Entry]:
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
        yield from _supervisions(where, cut, [Path(root)] if root else [path.parent, Path.cwd()])


class _Malformed(Exception):
    """A part of a cut is not what lhotse's format says; it costs that utterance alone."""


def _part(tree: dict[str, Any], name: str, kind: type) -> Any:
    if name not in tree:
        raise _Malformed(f"no {name}")
    if not isinstance(tree[name], kind) or not tree[name]:
        raise _Malformed(f"{name} is {tree[name]!r}")
    return tree[name]


def _seconds(tree: dict[str, Any], name: str, default: float | None = None) -> float:
    value = tree.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Malformed(f"{name} is {value!r}, no seconds" if name in tree else f"no {name}")
    return float(value)


def _supervisions(where: str, cut: dict[str, Any], roots: Sequence[Path]) -> Iterator[Entry]:
    """``roots``: folders that relative sources may count from."""
    name = str(cut.get("id", where))
    if cut.get("type") in ("MixedCut", "PaddingCut"):
        yield Entry(where, utt=name, problem=f"is mixed or padding: {cut['type']}")
        return
    if not cut.get("supervisions"):
        yield Entry(where, utt=name, problem="no supervision")
        return
    supervisions = cut["supervisions"]
    for supervision in supervisions if isinstance(supervisions, list) else [supervisions]:
        utt = name
        try:
            if not isinstance(supervision, dict):
                raise _Malformed(f"a supervision is {supervision!r}")
            utt = str(supervision.get("id", name))
            yield _entry(where, utt, cut, supervision, roots)
        except _Malformed as error:
            yield Entry(where, utt=utt, problem=f"malformed: {error}")


def _entry(
    where: str, utt: str, cut: dict[str, Any], supervision: dict[str, Any], roots: Sequence[Path]
) -> Entry:
    """Raises `_Malformed`."""
    if not cut.get("recording"):
        return Entry(where, utt=utt, problem="no recording: the cut has features alone")
    recording = _part(cut, "recording", dict)
    channel = supervision.get("channel", cut.get("channel", 0))
    channel = channel[0] if isinstance(channel, list) and channel else channel
    source = _source(recording, channel)
    if source is None:
        return Entry(where, utt=utt, problem=f"no source for channel {channel}")
    if source["type"] != "file":
        return Entry(where, utt=utt, problem=f"its audio is no file: {source['type']}")
    audio = _part(source, "source", str)
    if len(source["channels"]) > 1:
        return Entry(where, utt=utt, problem=f"one channel of several: {audio}, split the file")
    if recording.get("transforms"):
        return Entry(where, utt=utt, problem="its recording is transformed: save the cuts' audio first")
    words = {name: supervision.get(name) for name in ("text", "speaker", "language")}
    if odd := [name for name, value in words.items() if isinstance(value, (dict, list))]:
        return Entry(where, utt=utt, problem=f"no text but a structure: {odd[0]} is {words[odd[0]]!r}")
    place = next((root / audio for root in roots if (root / audio).exists()), None)
    if place is None:
        told = f"{audio}, looked for in {' and '.join(dict.fromkeys(map(str, roots)))}; see --audio_root"
        return Entry(where, utt=utt, problem=f"no such audio file: {audio if os.path.isabs(audio) else told}")
    start = _seconds(cut, "start", 0.0) + _seconds(supervision, "start", 0.0)
    end = start + _seconds(supervision, "duration")
    whole = start < _SAME_SECONDS and end > _seconds(recording, "duration") - _SAME_SECONDS
    return Entry(
        where,
        place,
        as_text(words["text"]),
        as_text(words["speaker"]) or None,
        None if whole else max(0.0, start),
        None if whole else end,
        as_text(words["language"]) or None,
        utt,
    )


def _source(recording: dict[str, Any], channel: object) -> dict[str, Any] | None:
    """The audio that holds a channel, with its type and channels; None: there is none.

    Raises `_Malformed`.
    """
    for source in _part(recording, "sources", list):
        if not isinstance(source, dict):
            raise _Malformed(f"a source is {source!r}")
        _part(source, "type", str)
        if channel in _part(source, "channels", list):
            return source
    return None
