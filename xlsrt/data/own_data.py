"""Sets from a user's own recordings, whatever lists them: ids, speakers, languages and a fair split.

A reader yields entries; here they become ``train``, ``dev`` and ``test``. Dev and test come from lists of
their own, from the entries' own ``set``, or are drawn from the whole so that no speaker is in two sets.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path

import soundfile

from xlsrt.data.kaldi import Utterance
from xlsrt.data.news import counted
from xlsrt.data.overshoot import is_outside
from xlsrt.data.recording_names import RecordingNames
from xlsrt.data.set_writer import RECORDINGS, SetWriter, safe_id
from xlsrt.data.text_rules import TextRules, add_text_argument, make_rules
from xlsrt.data.validate import audio_file_problem
from xlsrt.errors import UserError

log = logging.getLogger(__name__)

_SETS = {"training": "train", "valid": "dev", "validation": "dev", "val": "dev", "development": "dev"}


def set_name(word: str) -> str:
    """The set that a word in a list or a folder's name means: ``valid`` is dev, ``Test`` is test."""
    plain = word.lower()
    return _SETS.get(plain, plain if plain in ("train", "dev", "test") else word)


@dataclass(frozen=True)
class Entry:
    """One utterance as its list tells it.

    Attributes:
        where: ``file:line`` or a file's name.
        path: the audio file.
        text: transcript.
        speaker: None: not told; the recording stands for one.
        start, end: seconds into the file; None: its beginning, its end.
        language: code; None: the option's.
        utt: id; None: made from speaker, path and times.
        part: the set it belongs to; None: not told.
        problem: why it cannot be used.
    """

    where: str
    path: Path = Path()
    text: str = ""
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    language: str | None = None
    utt: str | None = None
    part: str | None = None
    problem: str | None = None


ReadEntries = Callable[[Path], Iterator[Entry]]


def as_text(value: object) -> str:
    """A value of JSON as text; "" for null and for NaN, which pandas writes where a cell is empty."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def add_own_arguments(parser: argparse.ArgumentParser, source: str) -> None:
    """The options that all readers of own data share."""
    parser.add_argument("--source", required=True, nargs="+", help=source)
    parser.add_argument("--dev", nargs="+", default=[], help="the same kind of source, for dev")
    parser.add_argument("--test", nargs="+", default=[], help="the same kind of source, for test")
    for name in ("dev", "test"):
        parser.add_argument(
            f"--{name}_share",
            type=float,
            default=0.05,
            help=f"without --{name} and where the source names no sets: so much of the utterances is {name}, "
            "of speakers who are in no other set; 0: none (default: %(default)s)",
        )
    parser.add_argument("--language", help="code of entries that name none, such as et")
    add_text_argument(parser, "light")


def make_sets(args: argparse.Namespace, read: ReadEntries) -> None:
    """Write the sets.

    Raises:
        UserError: a source is missing, a share is no share, a set is empty.
    """
    given = {"train": args.source, "dev": args.dev, "test": args.test}
    sources = {part: [Path(name) for name in names] for part, names in given.items() if names}
    for part, paths in sources.items():
        for path in paths:
            if not path.exists():
                option = "source" if part == "train" else part
                raise UserError(
                    f"--{option} {path}: no such file or folder (looked up in {Path.cwd()}): name your list, "
                    "folder or cuts by its whole path"
                )
    shares = {part: getattr(args, f"{part}_share") for part in ("dev", "test") if part not in sources}
    if any(not 0 <= share < 0.5 for share in shares.values()):
        raise UserError(f"--dev_share, --test_share {shares}: between 0 and 0.5")
    drawn = Drawn()
    # Lists in several folders may have files of the same names below them: names count from what they share.
    base = os.path.commonpath({_folder(path) for paths in sources.values() for path in paths})
    names = RecordingNames(Path(base))
    hint = "check the paths"
    if "audio_root" in args:
        hint += "; --audio_root says which folder relative ones count from"
    writer = _Writer(Path(args.output_dir), args.language, args.text_rules, args.source[0], hint)
    if any(shares.values()):
        # What will be left out must not be all that a small set is drawn to have.
        entries = counted(chain.from_iterable(map(read, sources["train"])), "looking through to draw sets")
        drawn = draw_sets(filter(writer.may_be_used, entries), names, shares, args.seed)
    with writer:
        for part, paths in sources.items():
            for entry in chain.from_iterable(map(read, paths)):
                default = drawn.part(names, entry) if part == "train" else part
                writer.add(names, entry, entry.part or default)


def _folder(path: Path) -> str:
    """The folder of a list, or the folder itself."""
    return os.path.abspath(path if path.is_dir() else path.parent)


def _speaker(names: RecordingNames, entry: Entry) -> str:
    return safe_id(entry.speaker) if entry.speaker else names.name(entry.path)


@dataclass(frozen=True)
class Drawn:
    """Who is not in train: speakers (or recordings) and their set."""

    parts: Mapping[str, str] = field(default_factory=dict)
    by_speaker: bool = True

    def part(self, names: RecordingNames, entry: Entry) -> str:
        key = _speaker(names, entry) if self.by_speaker else names.name(entry.path)
        return self.parts.get(key, "train")


def draw_sets(
    entries: Iterable[Entry], names: RecordingNames, shares: Mapping[str, float], seed: int
) -> Drawn:
    """Draw dev and test; nobody where the entries name their sets.

    Speakers come in an order that the seed decides, and whole: a set takes those that fit into its share.
    With fewer speakers than sets, recordings are drawn instead.

    Raises:
        UserError: there are fewer recordings than sets.
    """
    wanted = {part: share for part, share in shares.items() if share > 0}
    speakers: Counter[str] = Counter()
    recordings: Counter[str] = Counter()
    for entry in entries:
        if entry.part:
            return Drawn()
        if not entry.problem:
            speakers[_speaker(names, entry)] += 1
            recording = names.name(entry.path)
            if len(speakers) <= len(wanted):
                recordings[recording] += 1
            else:
                recordings.clear()  # it is speakers who are drawn; a count of millions would be in the way
    by_speaker = len(speakers) > len(wanted)
    counts = speakers if by_speaker else recordings
    if not by_speaker:
        log.warning("%d speakers: their recordings are divided among the sets", len(speakers))
    if counts and len(counts) <= len(wanted):
        raise UserError(
            f"{len(counts)} recordings are too few to draw {' and '.join(wanted)} from: give --dev, --test "
            "or --dev_share 0 --test_share 0"
        )
    order = sorted(counts, key=lambda name: hashlib.blake2b(f"{seed} {name}".encode()).digest())
    parts: dict[str, str] = {}
    for place, (part, share) in enumerate(wanted.items(), start=1):
        free = [name for name in order if name not in parts]
        room = max(1, round(share * sum(counts.values())))
        for name in free:
            # The later sets and train get one each at least.
            left = len(counts) - len(parts) - 1
            if counts[name] <= room and left > len(wanted) - place:
                parts[name] = part
                room -= counts[name]
        if free and part not in parts.values():
            parts[min(free, key=lambda name: counts[name])] = part
    return Drawn(parts, by_speaker)


class _Writer:
    """The sets, opened when their first utterance comes."""

    def __init__(self, output: Path, language: str | None, strength: str, source: str, hint: str) -> None:
        self.output, self.language, self.strength, self.source = output, language, strength, source
        self.hint = hint
        self.sets: dict[str, SetWriter] = {}
        self.rules: dict[str, TextRules] = {}
        self.length = lru_cache(maxsize=RECORDINGS)(_length)

    def __enter__(self) -> _Writer:
        self._stack = ExitStack()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and not self.sets:
            self._stack.close()
            raise UserError(f"--source {self.source}: there are no utterances in it")
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def add(self, names: RecordingNames, entry: Entry, part: str) -> None:
        part = safe_id(part)
        if not re.fullmatch(r"\w[\w.-]*", part):
            raise UserError(f"{entry.where}: '{part}' is no name of a set: letters, digits, _ and -")
        out = self.sets.get(part)
        if out is None:
            out = self.sets[part] = self._stack.enter_context(SetWriter(self.output / part, self.hint))
        if entry.problem:
            out.drop(entry.utt or entry.where, entry.problem)
            return
        language = self._language(entry)
        recording, speaker = names.name(entry.path), _speaker(names, entry)
        segment = entry.start is not None or entry.end is not None
        utt = entry.utt or _name(speaker, recording, entry)
        text, problem = self._text(entry)
        problem = problem or self._outside(entry)
        if problem:
            out.drop(utt, problem)
            return
        extras = {} if language == "und" else {"utt2lang": language}
        wav = os.path.abspath(entry.path)
        row = Utterance(safe_id(utt), speaker, text, wav, entry.start, entry.end, extras)
        out.add(row, recording if segment else None)

    def may_be_used(self, entry: Entry) -> bool:
        """Whether `add` would keep an entry, its id apart; one that names its set counts as it is."""
        if entry.part:
            return True
        if entry.problem:
            return False
        text, problem = self._text(entry)
        return bool(text) and not (problem or audio_file_problem(str(entry.path)) or self._outside(entry))

    def _language(self, entry: Entry) -> str:
        return entry.language or self.language or "und"

    def _text(self, entry: Entry) -> tuple[str, str | None]:
        language = self._language(entry)
        if language not in self.rules:
            self.rules[language] = make_rules(language, self.strength)
        return self.rules[language](entry.text)

    def _outside(self, entry: Entry) -> str | None:
        """Why a segment cannot be in its recording; None for what is no segment."""
        if entry.start is None and entry.end is None:
            return None
        length = self.length(str(entry.path))
        start = entry.start or 0.0
        if length is None or not is_outside(start, entry.end, length):
            return None
        what, late = ("begins", start) if start >= length else ("ends", entry.end or 0.0)
        return f"{what} after its recording: {late:.2f} s of {length:.2f} s"


def _length(path: str) -> float | None:
    """Seconds of a recording; None: told by others, as it is missing, empty, or read in another way."""
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, OSError):
        return None


def _name(speaker: str, recording: str, entry: Entry) -> str:
    """Sorted as the speakers are."""
    name = recording if recording.startswith(speaker) else f"{speaker}-{recording}"
    if entry.start is None and entry.end is None:
        return name
    end = "end" if entry.end is None else f"{round(100 * entry.end):07d}"
    return f"{name}-{round(100 * (entry.start or 0.0)):07d}-{end}"
