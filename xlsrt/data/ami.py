"""Reader of the AMI meeting corpus: headsets (ihm), one distant microphone (sdm), beamformed arrays (mdm).

Sets: ``train``, ``dev``, ``eval``, the official partition for speech recognition (full-corpus-ASR): 137, 18
and 16 meetings. Ids, speakers and transcripts are those of Kaldi's and ESPnet's recipes
(``AMI_ES2011a_H00_FEE041_0003415_0003484``), segments in seconds. ``utt2overlap`` says in which share of an
utterance others speak too.
"""

from __future__ import annotations

import argparse
import logging
import re
from contextlib import ExitStack
from pathlib import Path

import soundfile

from xlsrt.data.ami_nxt import (
    MAX_WORDS,
    Participant,
    Spoken,
    cut,
    kaldi_text,
    overlap,
    read_meetings,
    read_segments,
    read_words,
)
from xlsrt.data.audio_source import AudioProblem
from xlsrt.data.beamform import beamform
from xlsrt.data.kaldi import Utterance
from xlsrt.data.overshoot import is_outside
from xlsrt.data.parallel import ordered_map
from xlsrt.data.set_writer import SetWriter
from xlsrt.data.walk import files_below
from xlsrt.errors import UserError

NAME = "ami"
HELP = "AMI meetings: --source has the recordings (amicorpus/) and the annotations (ami_public_manual_1.6.2/)"
WHERE = (
    "get ami_public_manual_1.6.2.zip and the recordings from groups.inf.ed.ac.uk/ami/download, unpack both "
    "into one folder and give it"
)

log = logging.getLogger(__name__)

_DEV = re.compile(r"ES2011.|IS1008.|TS3004.|IB40(01|02|03|04|10|11)")
_EVAL = re.compile(r"ES2004.|IS1009.|TS3003.|EN2002.")
_MEETINGS = {"train": 137, "dev": 18, "eval": 16}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="folder with the recordings, at any depth")
    parser.add_argument(
        "--annotations",
        help="folder with words/, segments/ and corpusResources/ (default: where it is found in the source)",
    )
    parser.add_argument(
        "--mic",
        choices=("ihm", "sdm", "mdm"),
        default="ihm",
        help="ihm: <meeting>.Headset-<n>.wav of each speaker; sdm: <meeting>.Array1-01.wav; mdm: "
        "<meeting>_MDM<n>.wav, made with BeamformIt as Kaldi does; without it <meeting>.Array1-0*.wav, "
        "summed here (default: %(default)s)",
    )
    parser.add_argument(
        "--max_overlap",
        type=float,
        default=1.0,
        help="leave utterances out in more of whose time others speak, 0 to 1 (default: %(default)s, none)",
    )
    parser.add_argument(
        "--max_words",
        type=int,
        default=MAX_WORDS,
        help="longer sentences are cut at commas (default: %(default)s, as in Kaldi)",
    )
    parser.add_argument(
        "--case", choices=("upper", "lower"), default="upper", help="of transcripts (default: %(default)s)"
    )


def prepare(args: argparse.Namespace) -> None:
    source, output = Path(args.source), Path(args.output_dir)
    if not 0.0 <= args.max_overlap <= 1.0:
        raise UserError(f"--max_overlap {args.max_overlap:g}: a share of the time, 0 to 1")
    if not source.is_dir():
        raise UserError(f"--source {source}: no such folder: {WHERE}")
    annotations = _annotations(source, args.annotations)
    meetings = read_meetings(annotations / "corpusResources" / "meetings.xml")
    audio = _Audio(source, args.mic)
    if args.mic == "mdm" and not audio.files:
        audio.files = _sum_arrays(source, output / "local" / "ami_mdm", args.nj)
    with ExitStack() as stack:
        sets = {name: stack.enter_context(SetWriter(output / name, WHERE)) for name in _MEETINGS}
        counts = dict.fromkeys(_MEETINGS, 0)
        for meeting, people in sorted(meetings.items()):
            part = part_of(meeting)
            spoken = _read_meeting(annotations, meeting, people, sets[part], args.max_words)
            counts[part] += any(spoken.values())
            _add_meeting(meeting, people, spoken, sets[part], audio, args)
    for part, count in counts.items():
        if count != _MEETINGS[part]:
            log.warning("%s: %d of the %d official meetings are annotated here", part, count, _MEETINGS[part])


def part_of(meeting: str) -> str:
    """The set of a meeting in the partition full-corpus-ASR."""
    return "dev" if _DEV.fullmatch(meeting) else "eval" if _EVAL.fullmatch(meeting) else "train"


def _annotations(source: Path, given: str | None) -> Path:
    if given:
        places = [Path(given), *Path(given).glob("*/")]
    else:
        places = [source, *sorted(source.glob("*/")), *sorted(source.glob("*/*/"))]
    for place in places:
        if (place / "words").is_dir() and (place / "segments").is_dir():
            return place
    option = f"--annotations {given}" if given else f"--source {source}"
    raise UserError(f"{option}: no annotations (words/, segments/, corpusResources/) in it: {WHERE}")


class _Audio:
    """The recordings of one kind of microphone, found at any depth, with their lengths."""

    def __init__(self, source: Path, mic: str) -> None:
        self.mic = mic
        pattern = {"ihm": "*.Headset-?.wav", "sdm": "*.Array1-01.wav", "mdm": "*_MDM*.wav"}[mic]
        self.files = {path.stem: path for path in files_below(source, pattern)}
        if not self.files and mic != "mdm":
            raise UserError(f"--mic {mic}: no {pattern} in {source} or below it: {WHERE}")
        self.lengths: dict[str, float | None] = {}

    def of(self, meeting: str, person: Participant) -> tuple[str, str]:
        """Kaldi's name of the channel and the file's stem."""
        if self.mic == "ihm":
            return f"H{person.channel:02d}", f"{meeting}.Headset-{person.channel}"
        if self.mic == "sdm":
            return "SDM", f"{meeting}.Array1-01"
        return "MDM", next(
            (stem for stem in self.files if stem.startswith(f"{meeting}_MDM")), f"{meeting}_MDM"
        )

    def seconds(self, stem: str) -> float | None:
        """Length of a recording; None: it is missing or cannot be read."""
        if stem not in self.lengths:
            try:
                self.lengths[stem] = soundfile.info(str(self.files[stem])).duration
            except (KeyError, soundfile.LibsndfileError):
                self.lengths[stem] = None
        return self.lengths[stem]


def _sum_arrays(source: Path, output: Path, nj: int) -> dict[str, Path]:
    """``<meeting>_MDM`` to the summed channels of its first array; what exists is kept."""
    arrays: dict[str, list[Path]] = {}
    for path in files_below(source, "*.Array1-0[1-8].wav"):
        arrays.setdefault(f"{path.name.split('.')[0]}_MDM", []).append(path)
    if not arrays:
        raise UserError(f"--mic mdm: neither *_MDM*.wav nor *.Array1-0*.wav in {source} or below it: {WHERE}")
    jobs = [(name, paths, output / f"{name}.flac") for name, paths in arrays.items()]
    found = {}
    for name, path, problem in ordered_map(_sum_array, jobs, nj, batch=1):
        log.info("%s: %s", name, problem or path)
        if problem is None:
            found[name] = path
    return found


def _sum_array(job: tuple[str, list[Path], Path]) -> tuple[str, Path, str | None]:
    name, sources, target = job
    try:
        if not target.is_file():
            beamform(sources, target)
    except AudioProblem as error:
        return name, target, str(error)
    return name, target, None


def _read_meeting(
    annotations: Path, meeting: str, people: dict[str, Participant], out: SetWriter, max_words: int
) -> dict[str, list[Spoken]]:
    """The utterances of each agent of a meeting; segments without words are listed as left out."""
    spoken: dict[str, list[Spoken]] = {}
    for agent in people:
        segments = annotations / "segments" / f"{meeting}.{agent}.segments.xml"
        words = annotations / "words" / f"{meeting}.{agent}.words.xml"
        if not segments.is_file() or not words.is_file():
            out.drop(f"{meeting}.{agent}", f"no annotation: {(segments if words.is_file() else words).name}")
            continue
        rows = spoken.setdefault(agent, [])
        for name, start, end, elements in read_segments(segments, read_words(words)):
            cuts = cut(start, end, elements, max_words)
            if not cuts:
                out.drop(f"{meeting}.{agent}:{name}", "no words: laughter, noise or nothing")
            rows += cuts
    return spoken


def _add_meeting(
    meeting: str,
    people: dict[str, Participant],
    spoken: dict[str, list[Spoken]],
    out: SetWriter,
    audio: _Audio,
    args: argparse.Namespace,
) -> None:
    for agent, rows in spoken.items():
        others = [row for other, theirs in spoken.items() if other != agent for row in theirs]
        channel, stem = audio.of(meeting, people[agent])
        recording = f"AMI_{meeting}_{channel}"
        speaker = f"{recording}_{people[agent].name}"
        length = audio.seconds(stem)
        for row in rows:
            # Cut off as Kaldi's sprintf does: 0.29 s gives 28, since 100 * 0.29 is a little less than 29.
            first, last = int(100 * row.start), int(100 * row.end)
            start, end = first / 100, last / 100
            utt = f"{speaker}_{first:07d}_{last:07d}"
            text = kaldi_text(row.words)
            share = overlap(row, others)
            if length is None:
                missing = "cannot be read" if stem in audio.files else "no such audio file"
                out.drop(utt, f"{missing}: {audio.files.get(stem, stem + '.wav')}")
            elif is_outside(start, end, length):
                out.drop(utt, f"ends after its recording: {end:.2f} s of {length:.2f} s")
            elif share > args.max_overlap:
                out.drop(utt, f"others speak in too much of its time: {100 * share:.0f} %")
            else:
                text = text if args.case == "upper" else text.lower()
                wav = str(audio.files[stem].absolute())
                extras = {"utt2overlap": f"{share:.3f}"}
                out.add(Utterance(utt, speaker, text, wav, start, end, extras), recording)
