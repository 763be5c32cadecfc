"""Make a dump from a data directory: 16 kHz mono files and the tables that training reads.

Idempotent per utterance: what an earlier, perhaps killed, run has written is kept when its source (path,
size, time) and the options are the same. The tables appear last, so a dump with tables is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from xlsrt.ctm import WORD_TIMES
from xlsrt.data import arks
from xlsrt.data.audio import AudioFacts, AudioProblem, convert
from xlsrt.data.format_notes import Notes
from xlsrt.data.journal import JOURNAL, fingerprint, journal_line, read_journal
from xlsrt.data.kaldi import DataDir, Utterance, write_spk2utt
from xlsrt.data.parallel import ordered_map
from xlsrt.data.set_tables import remove_other_tables, speaker_tables
from xlsrt.data.speeds import prefix_of
from xlsrt.data.tables import load_table, sorted_table, write_table
from xlsrt.data.validate import problems_error, validate
from xlsrt.errors import UserError
from xlsrt.files import atomic_open
from xlsrt.units import SAMPLE_RATE

log = logging.getLogger(__name__)

AUDIO_FORMATS = ("auto", "flac", "wav", arks.FORMAT)
# So many small files make file systems slow.
ARK_FROM = 100_000


@dataclass(frozen=True)
class FormatOptions:
    """How a dump is made.

    Attributes:
        sample_rate: Hz of the dump.
        audio_format: flac or wav files, flac.ark: FLAC in archives, or auto: flac.ark from `ARK_FROM`
            utterances on, else flac.
        speeds: factors; each utterance comes once per factor, other than 1.0 under the id
            ``sp<factor>-<id>``.
        allow_pipes: run commands that stand in wav.scp.
        drop_bad: leave utterances with unusable audio out and list them in ``dropped``, instead of an error.
        need_text: whether a missing ``text`` is an error.
        pass_through: point to files that are right already instead of copying them.
    """

    sample_rate: int = SAMPLE_RATE
    audio_format: str = "flac"
    speeds: tuple[float, ...] = (1.0,)
    allow_pipes: bool = False
    drop_bad: bool = False
    need_text: bool = True
    pass_through: bool = True

    def __post_init__(self) -> None:
        if self.audio_format not in AUDIO_FORMATS:
            raise UserError(f"--audio_format {self.audio_format}: choose one of {', '.join(AUDIO_FORMATS)}")
        if not self.speeds or any(not 0.5 <= speed <= 2.0 for speed in self.speeds):
            raise UserError(f"--speed_perturb {self.speeds}: factors lie between 0.5 and 2.0")
        if len(set(self.speeds)) != len(self.speeds):
            raise UserError(f"--speed_perturb {self.speeds}: a factor comes twice")
        if not 8000 <= self.sample_rate <= 48000:
            raise UserError(
                f"--sample_rate {self.sample_rate}: between 8000 and 48000 Hz; the encoders want 16000"
            )


@dataclass(frozen=True)
class _Job:
    row: Utterance
    source: str
    speed: float
    target: str
    fingerprint: str
    known: AudioFacts | None


@dataclass(frozen=True)
class _Done:
    job: _Job
    facts: AudioFacts | None
    problem: str | None


def format_set(
    source: str | os.PathLike[str], output: str | os.PathLike[str], options: FormatOptions, nj: int = 1
) -> int:
    """Make the dump ``output`` from the data directory ``source``; returns its number of utterances.

    Raises:
        UserError: as `validate`; unusable audio, each utterance and file named; no utterance left.
    """
    data, out = DataDir(source), Path(output)
    if data.path.resolve() == out.resolve():
        raise UserError(f"{out}: the dump must not be the data directory it is made from")
    summary = validate(
        data.path,
        need_text=options.need_text,
        need_audio=not options.drop_bad,
        allow_pipes=options.allow_pipes,
    )
    total = summary.num_utterances * len(options.speeds)
    if options.audio_format == "auto":
        options = replace(options, audio_format=arks.FORMAT if total >= ARK_FROM else "flac")
    packs = options.audio_format == arks.FORMAT
    if packs:  # what lies elsewhere would be of another type for whoever reads the set
        options = replace(options, pass_through=False)
    out.mkdir(parents=True, exist_ok=True)
    known = read_journal(out / JOURNAL)
    archive = arks.ArkWriter(out / "audio")
    jobs = _jobs(data, out, options, known, archive)
    problems: list[str] = []
    notes = Notes()
    count = 0
    with (
        _Tables(out, data) as tables,
        open(out / JOURNAL, "a", encoding="utf-8") as journal,
        contextlib.closing(archive),
    ):
        journal.write("\n")  # ends a line that a kill has cut short
        for done in ordered_map(partial(_work, options=options), jobs, nj, is_light=_is_known):
            row = done.job.row
            if done.facts is None:
                problems.append(f"utterance '{row.utt}': {done.job.source}: {done.problem}")
                continue
            count += 1
            facts = done.facts
            notes.add(row.utt, facts)
            if packs and done.job.known is None:
                facts = replace(facts, place=archive.add(row.utt, Path(done.job.target)))
            wav = done.job.source if facts.passed_through else done.job.target
            tables.add(row, archive.use(facts.place) if packs else wav, facts.num_samples)
            if done.job.known is None:
                journal.write(journal_line(done.job.fingerprint, facts))
            if count % 5000 == 0:
                journal.flush()
                log.info("%s: %d of %d utterances", out, count, total)
        if problems and not options.drop_bad:
            raise problems_error(
                problems,
                str(data.path),
                "Mend these files, or leave the utterances out with --drop_bad true (they are then listed in "
                f"{out}/dropped).",
            )
        if not count:
            raise UserError(
                f"{data.path}: no utterance is left: all {len(problems)} have unusable audio: {problems[0]}; "
                "give the set other audio"
            )
    remove_other_tables(out, tables.names)  # of an earlier set: its utterances need not be in this one
    archive.tidy()
    arks.write_format(out, options.audio_format)
    _write_dropped(out / "dropped", problems)
    _carry_word_times(data.path / WORD_TIMES, out / WORD_TIMES, options.speeds)
    write_spk2utt(out)
    notes.report(out, len(problems), options.sample_rate)
    return count


def perturb_speed(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    factor: float,
    nj: int = 1,
    allow_pipes: bool = False,
) -> int:
    """A set at another speed with its audio, as Kaldi makes it; returns its number of utterances.

    Tables by speaker, such as ``spk2gender``, come along. ``utt2uniq`` names the original of each utterance,
    also where the source is itself at another speed and says so. ``allow_pipes``: whether commands may stand
    in wav.scp.

    Raises:
        UserError: as `format_set`; the factor is 1.
    """
    if factor == 1.0:
        raise UserError(f"{source}: a factor of 1 changes nothing: take 0.9 or 1.1")
    options = FormatOptions(speeds=(factor,), need_text=False, allow_pipes=allow_pipes)
    count = format_set(source, target, options, nj)
    data, out, prefix = DataDir(source), Path(target), prefix_of(factor)
    originals = load_table(data.path / "utt2uniq") if data.has("utt2uniq") else {}
    names = [utt.removeprefix(prefix) for utt, _ in sorted_table(out / "utt2spk")]
    write_table(out / "utt2uniq", ((prefix + utt, originals.get(utt, utt)) for utt in names))
    kept = {speaker.removeprefix(prefix) for speaker in DataDir(out).speakers()}
    for name, table in speaker_tables(data).items():
        write_table(out / name, ((prefix + key, table[key]) for key in sorted(kept & table.keys())))
    return count


class _Tables:
    """The dump's tables, open together; they appear when the block ends without an error."""

    def __init__(self, out: Path, data: DataDir) -> None:
        texts = [*(["text"] if data.has("text") else []), *data.extra_names()]
        self.names = ("wav.scp", "utt2spk", "utt2num_samples", *texts)
        self._out = out
        self._stack = ExitStack()
        self._streams: dict[str, IO[str]] = {}

    def __enter__(self) -> _Tables:
        self._streams = {
            name: self._stack.enter_context(atomic_open(self._out / name)) for name in self.names
        }
        return self

    def add(self, row: Utterance, wav: str, num_samples: int) -> None:
        values = {
            "wav.scp": wav,
            "utt2spk": row.speaker,
            "utt2num_samples": str(num_samples),
            "text": row.text,
        }
        for name, value in {**values, **row.extras}.items():
            if value is not None:
                self._streams[name].write(f"{row.utt} {value}\n")

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


def _jobs(
    data: DataDir, out: Path, options: FormatOptions, known: dict[str, AudioFacts], archive: arks.ArkWriter
) -> Iterator[_Job]:
    """One job per utterance and factor, sorted by the ids they will have."""

    def stream(speed: float) -> Iterator[tuple[str, _Job]]:
        prefix = prefix_of(speed)
        for row in data.utterances(need_text=options.need_text):
            named = replace(row, utt=prefix + row.utt, speaker=prefix + row.speaker)
            source = data.resolve(row.wav)
            target = _target(out, named.utt, options.audio_format.split(".")[0])
            mark = fingerprint(
                named, source, speed, options.sample_rate, options.audio_format, options.pass_through
            )
            facts = known.get(mark)
            if facts is not None and not facts.passed_through:
                there = archive.holds(facts.place) if facts.place else os.path.exists(target)
                facts = facts if there else None
            yield named.utt, _Job(named, source, speed, target, mark, facts)

    for _, job in heapq.merge(*(stream(speed) for speed in options.speeds), key=lambda pair: pair[0]):
        yield job


def _is_known(job: _Job) -> bool:
    return job.known is not None


def _work(job: _Job, options: FormatOptions) -> _Done:
    if job.known is not None:
        return _Done(job, job.known, None)
    try:
        facts = convert(
            job.source,
            Path(job.target),
            start=job.row.start,
            end=job.row.end,
            speed=job.speed,
            sample_rate=options.sample_rate,
            allow_pipes=options.allow_pipes,
            pass_through=options.pass_through,
        )
    except AudioProblem as problem:
        return _Done(job, None, str(problem))
    return _Done(job, facts, None)


def _target(out: Path, utt: str, suffix: str) -> str:
    """Where an utterance's audio goes: 256 folders, so that none holds too many; odd characters as codes."""
    safe = re.sub(r"[^\w.,=+-]", lambda match: f"%{ord(match[0]):x}", utt)
    digest = hashlib.md5(utt.encode()).hexdigest()
    if len(safe.encode()) > 200 or safe.startswith("."):
        safe = digest
    return str(out / "audio" / digest[:2] / f"{safe}.{suffix}")


def _carry_word_times(source: Path, target: Path, speeds: Sequence[float]) -> None:
    """Where the corpus knows when its words were said, the dump does too, unless their speed was changed."""
    target.unlink(missing_ok=True)
    if source.is_file() and tuple(speeds) == (1.0,):
        shutil.copy2(source, target)


def _write_dropped(path: Path, problems: list[str]) -> None:
    path.unlink(missing_ok=True)
    if problems:
        with atomic_open(path) as stream:
            stream.writelines(problem + "\n" for problem in problems)
