"""The built-in corpus: synthetic connected numbers and household commands in six languages; no downloads.

Sets: ``train``, ``dev``, ``test`` and ``test_long`` (recordings of some minutes with pauses). Voices and
sentences of dev and test are not in train; `xlsrt.data.synth.pretraining` does not use their voices either.
Text for a language model, with no sentence of dev and test, is in ``local/other_text/text``, where ESPnet's
recipes have theirs.
Each recording is a function of the seed and its id alone: same options, same bytes, whatever ``--nj``.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xlsrt.ctm import WORD_TIMES, ctm_lines
from xlsrt.data.kaldi import Utterance
from xlsrt.data.mini_plan import SIZES, Job, generator, more_text, plan
from xlsrt.data.parallel import ordered_map
from xlsrt.data.set_tables import write_data_dir
from xlsrt.data.sound_file import write_sound
from xlsrt.data.synth import rooms, voices
from xlsrt.errors import UserError
from xlsrt.files import atomic_open

NAME = "mini"
HELP = "the built-in synthetic corpus: numbers and commands in six languages"

RATE = voices.TARGET_RATE
_ESPEAK_CODES = {"en": "en-us"}  # espeak's name where it differs from ours
_COMMA_SHARE = 0.08
_SIZES = ("train_hours", "dev_words", "test_words", "long_recordings", "lm_sentences")  # that may be given
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
class Made:
    """What became of a job: samples written, and words with start and end in seconds."""

    num_samples: int
    words: tuple[tuple[str, float, float], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", choices=sorted(SIZES), default="full", help="smoke: minutes of speech, for tests"
    )
    parser.add_argument("--train_hours", type=float, help="hours of training speech (full: 2)")
    parser.add_argument("--dev_words", type=int, help="words in the development set (full: 800)")
    parser.add_argument("--test_words", type=int, help="words in the test set (full: 5000)")
    parser.add_argument("--long_recordings", type=int, help="recordings in test_long (full: 6)")
    parser.add_argument(
        "--lm_sentences", type=int, help="sentences of more text, for a language model (full: 20000)"
    )
    parser.add_argument("--audio_dir", help="where the audio goes (default: OUTPUT_DIR/mini_audio)")


def prepare(args: argparse.Namespace) -> None:
    """Makes the four sets under ``args.output_dir``.

    Raises:
        UserError: a size of nothing.
    """
    given = {name: getattr(args, name) for name in _SIZES}
    for name, value in given.items():
        if value is not None and not value > 0:
            raise UserError(
                f"--{name} {value}: give a number above 0, or leave it out for that of --size {args.size}"
            )
    size = replace(SIZES[args.size], **{name: value for name, value in given.items() if value is not None})
    audio_dir = Path(args.audio_dir or Path(args.output_dir) / "mini_audio")
    sets = plan(size, args.seed, audio_dir)
    for name in sets:
        (audio_dir / name).mkdir(parents=True, exist_ok=True)
    text = Path(args.output_dir) / "local/other_text/text"
    text.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(text) as stream:
        stream.writelines(f"{name} {sentence}\n" for name, sentence in more_text(size, args.seed))
    # One run over all sets: workers take a second each to start.
    made = ordered_map(make_recording, itertools.chain(*sets.values()), args.nj)
    for name, jobs in sets.items():
        _write_set(
            Path(args.output_dir) / name, audio_dir / name, jobs, list(itertools.islice(made, len(jobs)))
        )


def _write_set(data_dir: Path, audio_dir: Path, jobs: Sequence[Job], made: Sequence[Made]) -> None:
    """The data directory of recordings made; audio of an earlier run that is not in it goes."""
    wanted = {Path(job.path).name for job in jobs}
    for old in audio_dir.glob("*.flac*"):
        if old.name not in wanted:
            old.unlink()
    write_data_dir(
        data_dir,
        (
            Utterance(job.utt, job.speaker, job.text, job.path, extras={"utt2lang": job.language})
            for job in jobs
        ),
    )
    with atomic_open(data_dir / WORD_TIMES) as stream:
        for job, result in sorted(zip(jobs, made, strict=True), key=lambda pair: pair[0].utt):
            stream.write(ctm_lines(job.utt, result.words))
    seconds = sum(result.num_samples for result in made) / RATE
    num_words = sum(len(result.words) for result in made)
    num_speakers = len({job.speaker for job in jobs})
    amount = f"{len(jobs)} recordings, {seconds / 3600:.2f} h, {num_words} words, {num_speakers} speakers"
    logging.info(f"{data_dir}: {amount}")


def make_recording(job: Job) -> Made:
    """Speaks one job into its file: parts with pauses, then one room, noise and microphone over all of it."""
    rng = generator(job.seed, "audio", job.utt)
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
    write_sound(Path(job.path), samples, RATE)
    return Made(len(samples), tuple(words))


def _with_commas(sentence: str, rng: np.random.Generator) -> str:
    """Now and then a comma, which espeak speaks as a short pause; transcripts have none."""
    words = sentence.split()
    return " ".join(
        w + ("," if rng.random() < _COMMA_SHARE and i + 1 < len(words) else "") for i, w in enumerate(words)
    )
