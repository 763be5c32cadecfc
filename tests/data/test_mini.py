"""The built-in corpus: what is promised of its sets, and that it is the same each time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.bin.prepare_data import main
from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.mini_plan import SIZES, more_text, plan
from xlsrt.data.synth import espeak, voices
from xlsrt.data.synth.number_words import LANGUAGES
from xlsrt.errors import UserError

SETS = ("train", "dev", "test", "test_long")
MORE_TEXT = "local/other_text/text"


def make(folder: Path, *options: str) -> Path:
    main(["mini", "--size", "smoke", "--output_dir", str(folder), *options])
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("corpus"))


def read(corpus: Path, name: str) -> list[Utterance]:
    return list(DataDir(corpus / name).utterances())


def files(corpus: Path) -> dict[str, bytes]:
    return {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.rglob("*.flac"))}


def test_same_bytes_whatever_the_number_of_jobs(corpus: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", "--nj", "2")
    assert files(other) == files(corpus)
    for name in SETS:
        for table in ("text", "utt2spk", "spk2utt", "utt2lang", "word_times.ctm"):
            assert (other / name / table).read_bytes() == (corpus / name / table).read_bytes()
    assert (other / MORE_TEXT).read_bytes() == (corpus / MORE_TEXT).read_bytes()


def test_another_seed_is_another_corpus(corpus: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", "--seed", "1", "--train_hours", "0.01", "--test_words", "20")
    assert not {u.text for u in read(other, "test")} <= {u.text for u in read(corpus, "test")}


def test_audio_is_16_khz_mono_flac_under_the_data_folder(corpus: Path) -> None:
    for name in SETS:
        for row in read(corpus, name):
            info = soundfile.info(row.wav)
            assert (info.samplerate, info.channels, info.format) == (16000, 1, "FLAC")
            assert Path(row.wav).is_relative_to(corpus / "mini_audio" / name)
            assert np.abs(soundfile.read(row.wav)[0]).max() > 0.01


def test_word_times_are_those_of_the_words(corpus: Path) -> None:
    for name in SETS:
        times: dict[str, list[tuple[float, float, str]]] = {}
        for line in (corpus / name / "word_times.ctm").read_text(encoding="utf-8").splitlines():
            utt, channel, start, duration, word = line.split()
            assert channel == "1"
            times.setdefault(utt, []).append((float(start), float(start) + float(duration), word))
        for row in read(corpus, name):
            assert row.text is not None
            assert [word for _, _, word in times[row.utt]] == row.text.split()
            assert all(a < b for a, b, _ in times[row.utt])
            assert [a for a, _, _ in times[row.utt]] == sorted(a for a, _, _ in times[row.utt])
            assert times[row.utt][-1][1] <= soundfile.info(row.wav).duration


def test_a_long_recording_holds_pauses(corpus: Path) -> None:
    (row,) = read(corpus, "test_long")
    assert soundfile.info(row.wav).duration > 20
    rows = [line.split() for line in (corpus / "test_long" / "word_times.ctm").read_text().splitlines()]
    gaps = [float(b[2]) - float(a[2]) - float(a[3]) for a, b in pairwise(rows)]
    assert max(gaps) > 0.8


def test_a_rerun_changes_nothing_and_leaves_no_litter(tmp_path: Path) -> None:
    options = ("--train_hours", "0.01", "--test_words", "20")
    before = files(make(tmp_path / "c", *options))
    litter = tmp_path / "c/mini_audio/train"
    (litter / "old.flac").write_bytes(b"x")
    (litter / "killed.flac.77.tmp").write_bytes(b"x")
    assert files(make(tmp_path / "c", *options)) == before
    assert not (litter / "killed.flac.77.tmp").exists()


def test_audio_dir_moves_the_audio(tmp_path: Path) -> None:
    corpus = make(
        tmp_path / "c", "--train_hours", "0.01", "--test_words", "20", "--audio_dir", str(tmp_path / "a")
    )
    assert all(Path(row.wav).is_relative_to(tmp_path / "a") for row in read(corpus, "test"))
    assert not (corpus / "mini_audio").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--train_hours", "0"),
        ("--dev_words", "0"),
        ("--test_words", "-3"),
        ("--long_recordings", "0"),
        ("--lm_sentences", "0"),
    ],
)
def test_a_size_of_nothing_is_refused(tmp_path: Path, options: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"{options[0]} .*above 0"):
        make(tmp_path, *options)


def test_text_for_a_language_model(tmp_path: Path) -> None:
    options = ("--train_hours", "0.01", "--dev_words", "20", "--test_words", "20", "--lm_sentences", "12")
    text = (make(tmp_path, *options) / MORE_TEXT).read_text(encoding="utf-8").splitlines()
    assert [line.split()[0][:5] for line in text] == [f"lm-{language}" for language in LANGUAGES] * 2
    assert len({line.split()[0] for line in text}) == 12
    assert all(len(line.split()) > 2 for line in text)


def test_the_full_corpus_keeps_its_promises() -> None:
    sets = plan(SIZES["full"], 0, Path("audio"))
    said = {name: {sentence for job in jobs for _, sentence in job.parts} for name, jobs in sets.items()}
    assert not said["train"] & (said["dev"] | said["test"] | said["test_long"])
    assert not said["dev"] & (said["test"] | said["test_long"])
    more = [sentence for _, sentence in more_text(SIZES["full"], 0)]
    assert len(more) == 20000
    assert not set(more) & (said["dev"] | said["test"] | said["test_long"])
    assert len(set(more) - said["train"]) > 8000, "it has more to say than train"
    assert len(said["test"]) == len(sets["test"]) >= 200
    assert sum(len(job.text.split()) for job in sets["test"]) >= 5000
    assert len(sets["train"]) == pytest.approx(2 * 3600 / 2.59, abs=1)
    for jobs in sets.values():
        assert {job.language for job in jobs} == set(LANGUAGES)
        assert len({job.utt for job in jobs}) == len(jobs)
        assert all(job.utt.startswith(job.speaker + "-") for job in jobs)
    variants = {name: {job.voice.variant for job in jobs} for name, jobs in sets.items()}
    assert variants["dev"] <= set(voices.DEV_VARIANTS)
    assert variants["test"] | variants["test_long"] <= set(voices.TEST_VARIANTS)
    assert not variants["train"] & (set(voices.DEV_VARIANTS) | set(voices.TEST_VARIANTS))
    assert len({job.speaker for job in sets["train"]}) == SIZES["full"].train_speakers == 960
    for name in ("train", "test"):
        speakers = {job.speaker: job.voice.variant for job in sets[name]}
        assert sum(map(espeak.is_female, speakers.values())) == len(speakers) / 2, name
    assert len({variant for variant in variants["train"] if espeak.is_female(variant)}) >= 10


def test_balanced_variants_take_turns() -> None:
    assert voices.balanced(("m1", "f1", "m3", "m5")) == ("m1", "f1", "m3", "f1", "m5", "f1")
    assert voices.balanced(("m1", "m3")) == ("m1", "m3")
