"""Who says what in the mini corpus: speakers, sentences, pauses. No audio is made here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from xlsrt.data.synth import voices
from xlsrt.data.synth.number_words import LANGUAGES
from xlsrt.data.synth.sentences import sentences

_SECONDS_PER_UTTERANCE = 2.59  # measured means: they turn hours into utterances before anything is spoken
_SECONDS_PER_WORD = 0.36
_PAUSES = (
    ((0.2, 1.0), 0.7),
    ((1.0, 4.0), 0.25),
    ((4.0, 12.0), 0.05),
)  # seconds and share, in long recordings
_TEST_SPEAKERS, _DEV_SPEAKERS = 40, 16

Speaker = tuple[str, voices.Voice]


@dataclass(frozen=True)
class Size:
    """How much is made.

    Attributes:
        train_hours: of training speech, about.
        train_speakers: voices in it.
        dev_words, test_words: at least so many.
        long_recordings: of test_long.
        long_seconds: their shortest and longest duration, about.
        lm_sentences: sentences of text that nobody speaks, for a language model.
    """

    train_hours: float
    train_speakers: int
    dev_words: int
    test_words: int
    long_recordings: int
    long_seconds: tuple[float, float]
    lm_sentences: int


SIZES = {
    "full": Size(2.0, 960, 800, 5000, 6, (130.0, 280.0), 20000),
    "smoke": Size(0.05, 24, 60, 120, 1, (25.0, 30.0), 200),
}


@dataclass(frozen=True)
class Job:
    """One recording to make: `parts` are sentences with the seconds of silence before each."""

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


def generator(seed: int, *names: str) -> np.random.Generator:
    """Independent randomness for each name, whatever else is made."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def plan(size: Size, seed: int, audio_dir: Path) -> dict[str, list[Job]]:
    """The recordings of each set, to be stored under ``audio_dir/<set>``."""
    num_train = max(1, round(size.train_hours * 3600 / _SECONDS_PER_UTTERANCE))
    variants = voices.balanced(voices.training_variants(exact=True))
    train = _speakers("tr", variants, size.train_speakers, seed)
    dev = _speakers("dv", voices.DEV_VARIANTS, _DEV_SPEAKERS, seed)
    test = _speakers("te", voices.TEST_VARIANTS, _TEST_SPEAKERS, seed)
    return {
        "train": _short("train", train, seed, audio_dir, lambda utterances, words: utterances >= num_train),
        "dev": _short("dev", dev, seed, audio_dir, lambda utterances, words: words >= size.dev_words),
        "test": _short("test", test, seed, audio_dir, lambda utterances, words: words >= size.test_words),
        "test_long": _long(size, test, seed, audio_dir),
    }


def more_text(size: Size, seed: int) -> Iterator[tuple[str, str]]:
    """Names and sentences for a language model; the sentences of dev and test are not among them."""
    rng = generator(seed, "plan", "other_text")
    for number, (language, sentence) in enumerate(islice(sentences("train", rng), size.lm_sentences)):
        yield f"lm-{language}-{number:06d}", sentence


def _speakers(prefix: str, variants: tuple[str, ...], count: int, seed: int) -> list[Speaker]:
    """Speakers: an espeak variant each, with a vocal tract, a pitch and a pace of their own."""
    rng = generator(seed, "speakers", prefix)
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
    name: str, speakers: list[Speaker], seed: int, audio_dir: Path, enough: Callable[[int, int], bool]
) -> list[Job]:
    """One sentence per recording until enough(utterances, words); dev and test hold no sentence twice."""
    rng = generator(seed, "plan", name)
    jobs: list[Job] = []
    said: set[str] = set()
    words = 0
    stream = sentences(name, rng)
    while not enough(len(jobs), words):
        language, sentence = next(stream)
        if name != "train" and sentence in said:
            continue
        said.add(sentence)
        # Speakers of train take turns: of the many each is to be heard.
        turn = len(jobs) % len(speakers) if name == "train" else int(rng.integers(len(speakers)))
        speaker, voice = speakers[turn]
        rate, pitch = voice.rate + int(rng.integers(-20, 21)), voice.pitch + int(rng.integers(-8, 9))
        utt = f"{speaker}-{language}-{len(jobs):05d}"
        parts = ((float(rng.uniform(0.1, 0.5)), sentence),)
        path = str(audio_dir / name / f"{utt}.flac")
        jobs.append(Job(utt, speaker, replace(voice, rate=rate, pitch=pitch), language, parts, path, seed))
        words += len(sentence.split())
    return jobs


def _long(size: Size, speakers: list[Speaker], seed: int, audio_dir: Path) -> list[Job]:
    """Recordings of one speaker and one language each, the languages in turn, with pauses of 0.2 to 12 s."""
    jobs: list[Job] = []
    while len(jobs) < size.long_recordings:
        language = LANGUAGES[len(jobs) % len(LANGUAGES)]
        rng = generator(seed, "plan", "test_long", str(len(jobs)))
        stream = sentences("test", rng, (language,))
        speaker, voice = speakers[int(rng.integers(len(speakers)))]
        seconds, target = 0.0, float(rng.uniform(*size.long_seconds))
        parts: list[tuple[float, str]] = []
        while seconds < target:
            _, sentence = next(stream)
            low, high = _PAUSES[int(rng.choice(len(_PAUSES), p=[share for _, share in _PAUSES]))][0]
            pause = float(rng.uniform(low, high))
            parts.append((pause, sentence))
            seconds += pause + _SECONDS_PER_WORD * len(sentence.split())
        utt = f"{speaker}-{language}-long{len(jobs):03d}"
        path = str(audio_dir / "test_long" / f"{utt}.flac")
        jobs.append(Job(utt, speaker, voice, language, tuple(parts), path, seed))
    return jobs
