"""The built-in corpus: synthetic connected numbers and household commands in six languages, nothing downloaded.

Sets: ``train``, ``dev``, ``test`` and ``test_long`` (recordings of some minutes with pauses). Voices and sentences of
dev and test occur in no other set, nor in `xlsrt.data.synth.pretraining`. Each recording is a function of the seed and
its id alone: the same options give the same bytes, whatever ``--nj``.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.data.kaldi import Utterance, write_data_dir
from xlsrt.data.parallel import ordered_map
from xlsrt.data.synth import rooms, voices
from xlsrt.data.synth.sentences import sentences
from xlsrt.data.tables import atomic_open, write_table
from xlsrt.errors import UserError

NAME = "mini"
HELP = "the built-in synthetic corpus: numbers and commands in six languages"

RATE = voices.TARGET_RATE
_ESPEAK_CODES = {"en": "en-us"}  # espeak's name where it differs from ours
_SECONDS_PER_UTTERANCE = (
    2.6  # measured mean; turns hours into a number of utterances before anything is spoken
)
_CONDITIONS = rooms.Conditions(
    p_room=0.4,
    rt60_s=(0.1, 0.5),
    p_noise=0.6,
    snr_db=(10.0, 35.0),
    p_babble=0.2,
    p_tilt=0.5,
    p_band=0.05,
    p_codec=0.05,
    p_clip=0.03,
    gain_db=(-24.0, -3.0),
)


@dataclass(frozen=True)
class Size:
    """How much is made: hours of train, words of dev and test, recordings of test_long and their seconds."""

    train_hours: float
    dev_words: int
    test_words: int
    long_recordings: int
    long_seconds: tuple[float, float]
    train_speakers: int


SIZES = {
    "full": Size(2.0, 800, 5000, 6, (120.0, 300.0), 240),
    "smoke": Size(0.05, 60, 120, 1, (25.0, 30.0), 24),
}


@dataclass(frozen=True)
class Job:
    """One recording to make: sentences with the pause in seconds before each."""

    utt: str
    speaker: str
    voice: voices.Voice
    language: str
    parts: tuple[tuple[float, str], ...]
    path: str
    seed: int

    @property
    def text(self) -> str:
        return " ".join(sentence for _, sentence in self.parts)


@dataclass(frozen=True)
class Made:
    """What became of a job: samples written, and words with start and end in seconds."""

    num_samples: int
    words: tuple[tuple[str, float, float], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", choices=sorted(SIZES), default="full", help="smoke: a few minutes, for tests"
    )
    parser.add_argument("--train_hours", type=float, help="hours of training speech (full: 2)")
    parser.add_argument("--test_words", type=int, help="words in the test set (full: 5000)")
    parser.add_argument("--long_recordings", type=int, help="recordings in test_long (full: 6)")
    parser.add_argument("--audio_dir", help="where the audio goes (default: OUTPUT_DIR/mini_audio)")


def prepare(args: argparse.Namespace) -> None:
    """Makes the four sets under ``args.output_dir``.

    Raises:
        UserError: a size that leaves a set without utterances.
    """
    size = SIZES[args.size]
    for name in ("train_hours", "test_words", "long_recordings"):
        value = getattr(args, name)
        if value is not None:
            if value <= 0:
                raise UserError(f"--{name} {value}: must be more than 0")
            size = replace(size, **{name: value})
    audio_dir = Path(args.audio_dir or Path(args.output_dir) / "mini_audio")
    for name, jobs in plan(size, args.seed, audio_dir).items():
        make_set(Path(args.output_dir) / name, audio_dir / name, jobs, args.nj)


def plan(size: Size, seed: int, audio_dir: Path) -> dict[str, list[Job]]:
    """Who says what in each set; no audio yet."""
    num_train = max(1, round(size.train_hours * 3600 / _SECONDS_PER_UTTERANCE))
    test_speakers = _speakers("te", voices.TEST_VARIANTS, 40, seed)
    return {
        "train": _short("train", _speakers("tr", voices.training_variants(), size.train_speakers, seed), seed, audio_dir,
                        lambda utterances, words: utterances >= num_train),
        "dev": _short("dev", _speakers("dv", voices.DEV_VARIANTS, 16, seed), seed, audio_dir,
                      lambda utterances, words: words >= size.dev_words),
        "test": _short("test", test_speakers, seed, audio_dir, lambda utterances, words: words >= size.test_words),
        "test_long": _long(size, test_speakers, seed, audio_dir),
    }  # fmt: skip


def _generator(seed: int, *names: object) -> np.random.Generator:
    """Independent randomness for each name, whatever else is made."""
    digest = hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _speakers(
    prefix: str, variants: tuple[str, ...], count: int, seed: int
) -> list[tuple[str, voices.Voice]]:
    """Speakers: an espeak variant each, with a vocal tract and a pitch of their own."""
    rng = _generator(seed, "speakers", prefix)
    made = []
    for i in range(count):
        voice = voices.Voice(
            variant=variants[i % len(variants)],
            rate=int(rng.integers(145, 215)),
            pitch=int(np.clip(rng.normal(50, 15), 15, 85)),
            pitch_range=int(np.clip(rng.normal(50, 18), 15, 90)),
            shift=float(rng.uniform(0.9, 1.12)),
        )
        made.append((f"{prefix}{i:03d}", voice))
    return made


def _short(
    name: str,
    speakers: list[tuple[str, voices.Voice]],
    seed: int,
    audio_dir: Path,
    enough: Callable[[int, int], bool],
) -> list[Job]:
    """One sentence per recording until enough(utterances, words)."""
    rng = _generator(seed, "plan", name)
    jobs: list[Job] = []
    said: set[str] = set()
    words = 0
    for language, sentence in sentences(name, rng):
        if name != "train" and sentence in said:
            continue  # a test set counts each sentence once
        said.add(sentence)
        speaker, voice = speakers[int(rng.integers(len(speakers)))]
        voice = replace(
            voice, rate=voice.rate + int(rng.integers(-20, 21)), pitch=voice.pitch + int(rng.integers(-8, 9))
        )
        parts = ((float(rng.uniform(0.1, 0.5)), sentence),)
        jobs.append(
            _job(
                f"{speaker}-{language}-{len(jobs):05d}",
                speaker,
                voice,
                language,
                parts,
                audio_dir / name,
                seed,
            )
        )
        words += len(sentence.split())
        if enough(len(jobs), words):
            return jobs
    raise AssertionError("sentences() is endless")


def _long(size: Size, speakers: list[tuple[str, voices.Voice]], seed: int, audio_dir: Path) -> list[Job]:
    """Recordings of one speaker and language with pauses of 0.2 to 12 s; lengths are planned at a mean speaking time."""
    rng = _generator(seed, "plan", "test_long")
    stream = sentences("test", rng)
    pending: dict[str, list[str]] = {}
    jobs = []
    languages: list[str] = []
    while len(jobs) < size.long_recordings:
        language, sentence = next(stream)
        if language not in languages:
            languages.append(language)
        pending.setdefault(language, []).append(sentence)
        if len(languages) < 6 or language != languages[len(jobs) % 6]:
            continue
        seconds, target, parts = 0.0, float(rng.uniform(*size.long_seconds)), []
        while seconds < target - 4:
            while not pending.get(language):
                other, sentence = next(stream)
                pending.setdefault(other, []).append(sentence)
            sentence = pending[language].pop(0)
            low, high = [(0.2, 1.0), (1.0, 4.0), (4.0, 12.0)][int(rng.choice(3, p=[0.7, 0.25, 0.05]))]
            pause = float(rng.uniform(low, high))
            parts.append((pause, sentence))
            seconds += pause + 0.43 * len(sentence.split())
        speaker, voice = speakers[int(rng.integers(len(speakers)))]
        utt = f"{speaker}-{language}-long{len(jobs):03d}"
        jobs.append(_job(utt, speaker, voice, language, tuple(parts), audio_dir / "test_long", seed))
    return jobs


def _job(
    utt: str,
    speaker: str,
    voice: voices.Voice,
    language: str,
    parts: tuple[tuple[float, str], ...],
    folder: Path,
    seed: int,
) -> Job:
    return Job(utt, speaker, voice, language, parts, str(folder / f"{utt}.flac"), seed)


def make_set(data_dir: Path, audio_dir: Path, jobs: list[Job], nj: int) -> None:
    """Speaks the jobs of a set and writes its data directory; audio of an earlier run that is not in it goes."""
    audio_dir.mkdir(parents=True, exist_ok=True)
    made = list(ordered_map(make_recording, jobs, nj))
    wanted = {Path(job.path).name for job in jobs}
    for old in audio_dir.glob("*.flac"):
        if old.name not in wanted:
            old.unlink()
    write_data_dir(
        data_dir,
        (
            Utterance(job.utt, job.speaker, job.text, job.path, extras={"utt2lang": job.language})
            for job in jobs
        ),
    )
    with atomic_open(data_dir / "word_times.ctm") as stream:
        for job, result in sorted(zip(jobs, made, strict=True), key=lambda pair: pair[0].utt):
            for word, start, end in result.words:
                stream.write(f"{job.utt} 1 {start:.3f} {end - start:.3f} {word}\n")
    seconds = sum(result.num_samples for result in made) / RATE
    num_words = sum(len(job.text.split()) for job in jobs)
    logging.info(
        f"{data_dir}: {len(jobs)} recordings, {seconds / 3600:.2f} h, {num_words} words, "
        f"{len({job.speaker for job in jobs})} speakers"
    )


def make_recording(job: Job) -> Made:
    """Speaks one job into its file: parts with pauses, then one room, noise and microphone over all of it."""
    rng = _generator(job.seed, "audio", job.utt)
    pieces: list[np.ndarray] = []
    words: list[tuple[str, float, float]] = []
    at = 0
    for i, (pause, sentence) in enumerate(job.parts):
        said = voices.speak(
            _with_commas(sentence, rng),
            _ESPEAK_CODES.get(job.language, job.language),
            job.voice,
            word_gap=int(rng.choice([0, 0, 0, 2, 6])),
            fresh=i == 0,  # from here on espeak's state is that of this recording alone
        )
        silence = round(pause * RATE)
        start = (at + silence) / RATE
        words += [(w.label.strip(","), w.start + start, w.end + start) for w in said.words]
        pieces += [np.zeros(silence, np.float32), said.samples]
        at += silence + len(said.samples)
    wav = np.concatenate([*pieces, np.zeros(int(rng.uniform(0.1, 0.4) * RATE), np.float32)])
    wav = rooms.degrade(wav, rng, _CONDITIONS, rooms.babble(wav))
    samples = np.round(np.clip(wav, -1, 1) * 32767).astype(np.int16)
    temporary = f"{job.path}.{os.getpid()}.tmp"
    soundfile.write(temporary, samples, RATE, format="FLAC", subtype="PCM_16")
    os.replace(temporary, job.path)
    return Made(len(samples), tuple(words))


def _with_commas(sentence: str, rng: np.random.Generator) -> str:
    """Now and then a comma, which espeak speaks as a short pause; transcripts have none."""
    words = sentence.split()
    return " ".join(
        w + ("," if rng.random() < 0.08 and i + 1 < len(words) else "") for i, w in enumerate(words)
    )
