"""FSDD in the layout of its repository (made here) and as the data directory of recorded speech."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.data.conftest import tone
from xlsrt.data.digits import EDGE, PAUSE, WORDS
from xlsrt.data.fsdd import add_arguments, prepare
from xlsrt.data.tables import load_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

RATE = 8000


def repository(root: Path, takes: int = 10) -> Path:
    """Two speakers; a digit's tone tells which digit, its speaker and its take."""
    (root / "recordings").mkdir(parents=True)
    for digit in range(10):
        for number, speaker in enumerate(("ann", "bob")):
            for index in range(takes):
                hertz = 300 + 200 * digit + 100 * number
                signal = np.concatenate([tone(1600, RATE, hertz, 0.2 + 0.01 * index), 1e-4 * tone(400, RATE)])
                soundfile.write(root / "recordings" / f"{digit}_{speaker}_{index}.wav", signal, RATE)
    return root


def run(source: Path, output: Path, *options: str, seed: int = 0) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    strings = ["--train_strings", "20", "--dev_strings", "4", "--test_strings", "12"]
    args = parser.parse_args(["--source", str(source), *strings, *options])
    args.output_dir, args.nj, args.seed = str(output), 1, seed
    prepare(args)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fsdd")
    run(repository(folder / "repo"), folder / "data")
    return folder


def test_the_official_split(made: Path) -> None:
    data = made / "data"
    assert validate(data / "test").num_utterances == 2 * 10 * 5
    assert validate(data / "test_connected").num_utterances == 12
    assert validate(data / "dev").num_utterances == 2 * 10 * 3 + 4
    assert validate(data / "train").num_utterances == 2 * 10 * 2 + 20
    assert {utt[-2:] for utt in load_table(data / "test" / "text")} == {f"{i:02d}" for i in range(5)}
    singles = [load_table(data / name / "wav.scp") for name in ("train", "dev", "test")]
    paths = [path for table in singles for path in table.values() if "recordings" in path]
    assert len(paths) == len(set(paths)) == 200


@pytest.mark.parametrize("name", ["train", "dev", "test_connected"])
def test_strings_are_of_one_speaker_and_of_their_own_recordings(made: Path, name: str) -> None:
    texts, speakers = load_table(made / "data" / name / "text"), load_table(made / "data" / name / "utt2spk")
    levels = {"train": {8, 9}, "dev": {5, 6, 7}, "test_connected": set(range(5))}[name]
    for utt, path in load_table(made / "data" / name / "wav.scp").items():
        words = texts[utt].split()
        if "recordings" in path:
            continue
        assert 3 <= len(words) <= 10 and utt.startswith(speakers[utt])
        samples, rate = soundfile.read(path)
        assert rate == RATE
        silence = len(samples) / rate - 0.25 * len(words)
        pauses = len(words) - 1
        assert 2 * EDGE[0] + pauses * PAUSE[0] - 1e-3 <= silence <= 2 * EDGE[1] + pauses * PAUSE[1] + 1e-3
        heard, takes = hear(samples)
        number = ("ann", "bob").index(speakers[utt])
        assert [WORDS[round((hertz - 300 - 100 * number) / 200)] for hertz in heard] == words
        assert takes <= levels


def hear(samples: np.ndarray) -> tuple[list[float], set[int]]:
    """The tones of a string in Hz, and the takes that their levels tell."""
    loud = np.abs(samples) > 0.02
    spans, start = [], None
    for i in range(len(samples)):
        if start is None and loud[i]:
            start = i
        elif start is not None and not loud[i : i + 100].any():
            spans.append((start, i))
            start = None
    heard, takes = [], set()
    for a, b in spans:
        part = samples[a:b]
        heard.append(float(np.argmax(np.abs(np.fft.rfft(part, RATE)))))
        takes.add(round((np.sqrt(2 * (part**2).mean()) - 0.2) / 0.01))
    return heard, takes


def test_same_seed_same_bytes_other_seed_other_strings(made: Path, tmp_path: Path) -> None:
    run(made / "repo", tmp_path / "again")
    run(made / "repo", tmp_path / "other", seed=1)
    first, again, other = (
        {p.name: p.read_bytes() for p in sorted((folder / "test_connected" / "audio").iterdir())}
        for folder in (made / "data", tmp_path / "again", tmp_path / "other")
    )
    assert first == again and first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder: clone"):
        run(tmp_path / "none", tmp_path / "data")
    with pytest.raises(UserError, match="neither recordings"):
        run(tmp_path, tmp_path / "data")
    root = repository(tmp_path / "repo", takes=4)
    with pytest.raises(UserError, match="no recordings for train"):
        run(root, tmp_path / "data")
    root = repository(tmp_path / "whole")
    (root / "recordings" / "0_ann_1.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"0_ann_1.wav: utterance 'ann-0-01': the audio file is empty"):
        run(root, tmp_path / "data", "--test_strings", "100")
    (root / "recordings" / "zero.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"zero.wav: not of the form <digit>_<speaker>_<index>.wav"):
        run(root, tmp_path / "data")


def test_recorded_fsdd(speech: Path, tmp_path: Path) -> None:
    run(speech / "fsdd", tmp_path / "data")
    split = load_table(speech / "fsdd" / "utt2split")
    official = {utt for utt, part in split.items() if part == "test"}
    assert set(load_table(tmp_path / "data" / "test" / "text")) == official
    counts = [
        validate(tmp_path / "data" / name).num_utterances for name in ("train", "dev", "test_connected")
    ]
    assert counts == [2520 + 20, 180 + 4, 12]
