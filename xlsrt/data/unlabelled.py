"""Reader of audio without transcripts: folders of files, or Kaldi directories whose text is not looked at.

Long recordings are cut where they are quiet; what cannot be learnt from is left out, counted and named.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xlsrt.data.arguments import yes_or_no
from xlsrt.data.audio import AudioProblem, mono_blocks, open_audio
from xlsrt.data.kaldi import parse_segment, write_spk2utt
from xlsrt.data.kaldi_source import absolute
from xlsrt.data.parallel import ordered_map
from xlsrt.data.sound import REASONS, cut, measure, reason_to_skip
from xlsrt.data.tables import load_table, write_table
from xlsrt.data.walk import files_below
from xlsrt.errors import UserError
from xlsrt.files import atomic_open
from xlsrt.units import SAMPLE_RATE

NAME = "unlabelled"
HELP = "audio without transcripts, for adaptation: --source names folders of audio files or Kaldi directories"

log = logging.getLogger(__name__)

# What libsndfile reads, and what people have besides: without ffmpeg the latter are named as unreadable.
_READ = ".wav .flac .mp3 .ogg .opus .sph .aif .aiff .au .w64 .caf"
_NOT_READ = ".m4a .mp4 .aac .wma .webm .amr"
SUFFIXES = frozenset(f"{_READ} {_NOT_READ}".split(" "))
_TOLD = {
    "short": "too short",
    "silence": "silent",
    "clipped": "clipped",
    "music": "music or steady sound",
    "unreadable": "unreadable",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, nargs="+", help="folders of audio files, or with wav.scp (and segments)"
    )
    parser.add_argument(
        "--set_name", default="unlabelled", help="name of the set that is made (default: %(default)s)"
    )
    parser.add_argument(
        "--min_seconds", type=float, default=1.0, help="shorter pieces are left out (default: %(default)s)"
    )
    parser.add_argument(
        "--max_seconds",
        type=float,
        default=20.0,
        help="longer recordings are cut into pieces (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        nargs="*",
        default=[],
        choices=("silence", "clipped", "music"),
        help="use such audio although its level speaks against it",
    )
    parser.add_argument("--allow_pipes", type=yes_or_no, default=False, help="run commands in wav.scp")


@dataclass(frozen=True)
class Recording:
    """A file, or a stretch of one: ``start`` and ``end`` in seconds, None: its beginning and its end."""

    name: str
    speaker: str
    wav: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Found:
    """What was found in a recording.

    Attributes:
        pieces: (start, end) to use, in seconds of the recording; (0, None) is all of it.
        skipped: (start, end, reason, detail).
    """

    recording: Recording
    pieces: list[tuple[float, float | None]]
    skipped: list[tuple[float, float, str, str]]
    rate: int = 0
    channels: int = 0
    seconds: float = 0.0


def prepare(args: argparse.Namespace) -> None:
    if not 0.4 <= args.min_seconds < args.max_seconds:
        raise UserError(
            f"--min_seconds {args.min_seconds:g} --max_seconds {args.max_seconds:g}: at least 0.4, and the "
            "first is less"
        )
    sources = [Path(source) for source in args.source]
    check_sources(sources, "--source")
    taken: set[str] = set()
    recordings = [one for source in sources for one in read(source, len(sources) > 1, taken)]
    look = partial(
        examine,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        keep=tuple(args.keep),
        allow_pipes=args.allow_pipes,
    )
    write(Path(args.output_dir) / args.set_name, ordered_map(look, recordings, args.nj))


def name_of(source: Path) -> str:
    """What a folder is called, also as ``.`` or ``..``; of a link its own name."""
    return Path(os.path.abspath(source)).name


def check_sources(sources: Sequence[Path], option: str) -> None:
    """Refuse folders that cannot be told apart, hold nothing or would be heard twice; ``option`` named them.

    Raises:
        UserError: says which.
    """
    listed = f"{option} {' '.join(map(str, sources))}"
    if len({name_of(source) for source in sources}) < len(sources):
        raise UserError(f"{listed}: folders of one name cannot be told apart")
    tables = [(source / "wav.scp").is_file() for source in sources]
    for (outer, is_table), inner in itertools.product(zip(sources, tables, strict=True), sources):
        if inner is not outer and not is_table and inner.resolve().is_relative_to(outer.resolve()):
            raise UserError(f"{listed}: {inner} lies in {outer} and would be heard twice: leave one out")
    for source, is_table in zip(sources, tables, strict=True):
        if not source.is_dir():
            raise UserError(f"{option} {source}: no such folder")
        if not is_table and next(_audio_files(source), None) is None:
            known = " ".join(sorted(SUFFIXES))
            raise UserError(f"{option} {source}: neither wav.scp nor audio files ({known})")


def _audio_files(source: Path) -> Iterator[Path]:
    return (path for path in files_below(source) if path.suffix.lower() in SUFFIXES)


def read(source: Path, prefixed: bool = False, taken: set[str] | None = None) -> list[Recording]:
    """The recordings of one folder, sorted by name.

    Args:
        prefixed: whether their names begin with the folder's. taken: names that there are already; theirs
            are added.
    """
    prefix = f"{_safe(name_of(source))}-" if prefixed else ""
    taken = set() if taken is None else taken
    if (source / "wav.scp").is_file():
        found = list(_of_kaldi(source, prefix, taken))
    else:
        found = list(_of_folder(source, prefix, taken))
    if not found:
        raise UserError(f"--source {source}: its wav.scp or segments is empty")
    return sorted(found, key=lambda one: one.name)


def _of_kaldi(source: Path, prefix: str, taken: set[str]) -> Iterator[Recording]:
    wavs = load_table(source / "wav.scp")
    speakers = load_table(source / "utt2spk") if (source / "utt2spk").is_file() else {}
    if not (source / "segments").is_file():
        for name, wav in wavs.items():
            speaker = prefix + speakers.get(name, name)
            yield Recording(_new(prefix + name, "2", taken), speaker, absolute(source, wav))
        return
    for name, value in load_table(source / "segments").items():
        recording, start, end = parse_segment(value, f"{source}/segments: utterance '{name}'")
        if recording not in wavs:
            raise UserError(f"{source}: utterance '{name}': recording '{recording}' is not in wav.scp")
        wav = absolute(source, wavs[recording])
        speaker = prefix + speakers.get(name, name)
        yield Recording(_new(prefix + name, "2", taken), speaker, wav, start, end)


def _of_folder(source: Path, prefix: str, taken: set[str]) -> Iterator[Recording]:
    """A folder within the source counts as a speaker, else the file does."""
    for path in _audio_files(source):
        inside = path.relative_to(source)
        name = _new(prefix + _safe("-".join(inside.with_suffix("").parts)), inside.suffix[1:], taken)
        folder = _safe("-".join(inside.parent.parts))
        yield Recording(name, prefix + folder if folder else name, str(path.resolve()))


def _new(name: str, ending: str, taken: set[str]) -> str:
    """A name that is not taken yet, with ``ending`` or a number behind it if need be; taken from now on."""
    numbered = (f"{name}-{ending}-{number}" for number in itertools.count(2))
    found = next(one for one in itertools.chain((name, f"{name}-{ending}"), numbered) if one not in taken)
    taken.add(found)
    return found


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name)


def examine(
    recording: Recording, min_seconds: float, max_seconds: float, keep: tuple[str, ...], allow_pipes: bool
) -> Found:
    """Read a recording through and decide what of it is used."""
    try:
        with open_audio(recording.wav, allow_pipes) as audio:
            rate, channels = audio.samplerate, audio.channels
            levels = measure(mono_blocks(audio, recording.start, recording.end), rate)
    except AudioProblem as problem:
        return Found(recording, [], [(0.0, 0.0, "unreadable", str(problem))])
    pieces: list[tuple[float, float | None]] = []
    skipped = []
    stretches = cut(levels, max_seconds)
    first = recording.start or 0.0
    for start, end in stretches:
        reason = reason_to_skip(levels.part(start, end), min_seconds)
        if reason is not None and reason not in keep:
            skipped.append((start, end, reason, f"{first + start:.2f} to {first + end:.2f} s"))
        else:
            pieces.append((start, None if len(stretches) == 1 else end))
    return Found(recording, pieces, skipped, rate, channels, levels.seconds)


def write(target: Path, results: Iterator[Found]) -> int:
    """Write the data directory and ``dropped``; returns the number of pieces.

    Raises:
        UserError: nothing is left; the reasons are counted and the first files named.
    """
    wavs: list[tuple[str, str]] = []
    segments: list[tuple[str, str]] = []
    speakers: list[tuple[str, str]] = []
    dropped: list[str] = []
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    total = Counter[str]()
    used = 0.0
    for found in results:
        one = found.recording
        total["recordings"] += 1
        total["long"] += len(found.pieces) + len(found.skipped) > 1
        total["resampled"] += bool(found.pieces) and found.rate != SAMPLE_RATE
        total["mixed down"] += bool(found.pieces) and found.channels > 1
        for _, _, reason, detail in found.skipped:
            counts[reason] += 1
            example.setdefault(reason, one.name)
            dropped.append(f"{one.name} {one.wav}: {_TOLD[reason]}: {detail}")
        if found.pieces:
            wavs.append((one.name, one.wav))
        for start, end in found.pieces:
            name = one.name if end is None else f"{one.name}-{start * 100:07.0f}-{end * 100:07.0f}"
            first = (one.start or 0.0) + start
            last = one.end if end is None else (one.start or 0.0) + end
            segments.append((name, f"{one.name} {first:.3f} {-1 if last is None else format(last, '.3f')}"))
            speakers.append((name, one.speaker))
            used += (found.seconds if end is None else end) - start
    told = ", ".join(
        f"{counts[reason]} {_TOLD[reason]} (such as {example[reason]})"
        for reason in REASONS
        if counts[reason]
    )
    if not segments:
        raise UserError(
            f"{target}: nothing of {total['recordings']} recordings can be learnt from: {told}. Look at the "
            "files, or use such audio with --keep"
        )
    for name, rows in (("wav.scp", wavs), ("segments", segments), ("utt2spk", speakers)):
        write_table(target / name, sorted(rows))
    write_spk2utt(target)
    with atomic_open(target / "dropped") as stream:
        stream.writelines(f"{line}\n" for line in sorted(dropped))
    log.info(
        "%s: %d pieces, %.2f hours, of %d recordings (%d were cut, %d are resampled, %d mixed down)",
        *(target, len(segments), used / 3600, total["recordings"]),
        *(total["long"], total["resampled"], total["mixed down"]),
    )
    if told:
        log.warning("%s: left out %s; all are listed in %s/dropped", target, told, target)
    return len(segments)
