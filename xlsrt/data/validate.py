"""What a data directory must fulfil before anything is computed from it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from xlsrt.data.kaldi import DataDir, archive_place, is_pipe
from xlsrt.data.news import counted
from xlsrt.data.overshoot import RecordingLengths
from xlsrt.data.tables import read_table
from xlsrt.errors import UserError

_SHOWN = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Summary:
    """What a valid set holds."""

    num_utterances: int
    num_speakers: int


def problems_error(problems: list[str], what: str, way_out: str) -> UserError:
    """One error that lists the first problems, their number and the way out."""
    shown = "\n  ".join(problems[:_SHOWN])
    more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return UserError(f"{what}: {len(problems)} problem(s):\n  {shown}{more}\n{way_out}")


def validate(
    path: str | os.PathLike[str],
    *,
    need_text: bool = True,
    need_audio: bool = True,
    allow_pipes: bool = False,
) -> Summary:
    """Check a data directory in one pass over its tables.

    Without ``need_audio`` there may be no ``wav.scp`` either, as in Kaldi's sets of features.

    Raises:
        UserError: names each utterance with an empty transcript, a missing or empty audio file, a pipe that
            is not allowed or a segment over half a second too late for its recording; the first row that is
            missing, duplicate, unsorted, malformed or not UTF-8.
    """
    data = DataDir(path)
    problems: list[str] = []
    speakers: set[str] = set()
    count = 0
    checked: set[str] = set()
    lengths = RecordingLengths.of(data) if need_audio and data.has("segments") else None
    rows = data.utterances(need_text=need_text, need_wav=need_audio)
    for row in counted(rows, f"{data.path} is being checked"):
        count += 1
        speakers.add(row.speaker)
        if row.text is not None and need_text and (problem := transcript_problem(row.text)):
            problems.append(f"{data.path}/text: utterance '{row.utt}' {problem}")
        # Utterances of one recording share its file: look at it once.
        if row.start is not None:
            if lengths and (problem := lengths.problem(row.wav, row.start, row.end)):
                problems.append(f"{data.path}/segments: utterance '{row.utt}': {problem}")
            if row.wav in checked:
                continue
            checked.add(row.wav)
        if is_pipe(row.wav):
            if not allow_pipes:
                problems.append(
                    f"{data.path}/wav.scp: utterance '{row.utt}' is a command ('{row.wav}'): commands "
                    "from data are run only with --allow_pipes true"
                )
        elif need_audio:
            problem = audio_file_problem(data.resolve(row.wav))
            if problem:
                problems.append(f"{data.path}/wav.scp: utterance '{row.utt}': {problem}")
    if problems:
        raise problems_error(
            problems,
            str(data.path),
            f"Mend them, or drop these utterances with `utils/fix_data_dir.sh {data.path}`.",
        )
    if not count:
        raise UserError(f"{data.path}: a set without utterances: prepare it again, or choose another set")
    _check_spk2utt(data, len(speakers))
    return Summary(count, len(speakers))


def transcript_problem(text: str) -> str | None:
    """Why a transcript cannot be learnt from, or None. Blanks of any script count as nothing."""
    if not text.strip():
        return "has an empty transcript"
    if control := _CONTROL.search(text):
        return f"has a control character (U+{ord(control[0]):04X}) in its transcript"
    return None


def audio_file_problem(path: str) -> str | None:
    """Why an audio file cannot be used as far as the file system tells, or None."""
    place = archive_place(path)
    path = place[0] if place else path
    if not os.path.exists(path):
        return f"{path}: no such audio file"
    if not os.path.isfile(path):
        return f"{path}: not a file"
    if not os.access(path, os.R_OK):
        return f"{path}: no permission to read it"
    if os.path.getsize(path) == 0:
        return f"{path}: the audio file is empty (0 bytes)"
    return None


def _check_spk2utt(data: DataDir, num_speakers: int) -> None:
    if not data.has("spk2utt"):
        return
    # Neither table fits in memory where sets are large: the sums of their pairs' checksums are compared, and
    # who is wrong is looked up where they differ.
    lines = total = 0
    for speaker, utts in read_table(data.path / "spk2utt"):
        lines += 1
        total += sum(hash((speaker, utt)) for utt in utts.split())
    total -= sum(hash((speaker, utt)) for utt, speaker in read_table(data.path / "utt2spk"))
    if total == 0 and lines == num_speakers:
        return
    listed = {speaker: sorted(utts.split()) for speaker, utts in read_table(data.path / "spk2utt")}
    actual = {speaker: sorted(utts) for speaker, utts in data.speakers().items()}
    if listed != actual:
        wrong = sorted(s for s in listed.keys() | actual.keys() if listed.get(s) != actual.get(s))
        raise UserError(
            f"{data.path}/spk2utt: speaker '{wrong[0]}' does not agree with utt2spk: run "
            f"`utils/fix_data_dir.sh {Path(data.path)}`, which writes it anew"
        )
