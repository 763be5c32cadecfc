"""AN4 in the layout of its distribution (made here) and as the data directory of recorded speech."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.data.an4 import add_arguments, prepare
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.tables import load_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

TRAIN = ["an251-fash-b", "an253-fash-b", "cen1-fbbh-b", "cen2-fbbh-b"]
TEST = ["an391-mjwl-b", "cen7-mjwl-b"]


def speech_like(seed: int) -> np.ndarray:
    """Low-pass noise (8000,) int16: like speech, neighbouring samples are alike."""
    noise = np.random.RandomState(seed).standard_normal(8100)
    return (np.convolve(noise, np.ones(100) / 10, "valid")[:8000] * 3000).astype(np.int16)


def distribution(root: Path, suffix: str = ".sph") -> Path:
    for part, folder, names in (("train", "an4_clstk", TRAIN), ("test", "an4test_clstk", TEST)):
        lines, files = [], []
        for number, name in enumerate(names):
            words = "RUBOUT G M E F" if number % 2 else "YES"
            lines.append(f"<s> {words} </s> ({name})" if part == "train" else f"{words} ({name})")
            files.append(f"{folder}/{name.split('-')[1]}/{name}")
            path = root / "wav" / (files[-1] + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == ".sph":
                soundfile.write(
                    path, speech_like(number), 16000, format="NIST", subtype="PCM_16", endian="BIG"
                )
            else:
                path.write_bytes(speech_like(number).astype(">i2" if number % 2 else "<i2").tobytes())
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / f"an4_{part}.transcription").write_text("\n".join(lines) + "\n")
        (root / "etc" / f"an4_{part}.fileids").write_text("\n".join(files) + "\n")
    return root


def run(source: Path, output: Path, *options: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--source", str(source), *options])
    args.output_dir, args.nj, args.seed = str(output), 1, 0
    prepare(args)


@pytest.mark.parametrize("suffix", [".sph", ".raw"])
def test_the_distribution(tmp_path: Path, suffix: str) -> None:
    distribution(tmp_path / "corpus" / "an4", suffix)
    run(tmp_path / "corpus", tmp_path / "data", "--dev_utterances", "1")
    data = tmp_path / "data"
    assert load_table(data / "dev" / "text") == {"fash-an251-fash-b": "yes"}
    assert load_table(data / "train" / "text") == {
        "fash-an253-fash-b": "rubout g m e f",
        "fbbh-cen1-fbbh-b": "yes",
        "fbbh-cen2-fbbh-b": "rubout g m e f",
    }
    assert load_table(data / "test" / "utt2spk") == {"mjwl-an391-mjwl-b": "mjwl", "mjwl-cen7-mjwl-b": "mjwl"}
    for name, numbers in (("train", [1, 2, 3]), ("dev", [0]), ("test", [0, 1])):
        validate(data / name)
        format_set(data / name, tmp_path / "dump" / name, FormatOptions())
        paths = load_table(tmp_path / "dump" / name / "wav.scp").values()
        for path, number in zip(paths, numbers, strict=True):
            np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], speech_like(number))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "etc/an4_train.transcription",
            "<s> </s> (an251-fash-b)\n",
            "transcription:1: utterance 'an251-fash-b' has an",
        ),
        ("etc/an4_train.transcription", "YES (an251-fash-b)\n" * 2, "transcription:2: duplicate utterance"),
        ("etc/an4_train.transcription", "YES an251-fash-b\n", "transcription:1: .* is not of the form"),
        (
            "etc/an4_train.transcription",
            "YES (an251-fash-b)\n",
            "utterance 'an253-fash-b' of the file list has no",
        ),
        (
            "etc/an4_train.fileids",
            "an4_clstk/fash/an251-fash-b\n",
            "'an253-fash-b' is missing in .*an4_train.fileids",
        ),
        (
            "etc/an4_test.fileids",
            "an4test_clstk/x/an391-mjwl-b\nan4test_clstk/x/cen7-mjwl-b\n",
            "no audio file",
        ),
    ],
)
def test_incomplete_distributions(tmp_path: Path, file: str, content: str, message: str) -> None:
    root = distribution(tmp_path / "an4")
    (root / file).write_text(content)
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "data", "--dev_utterances", "1")


def test_bad_sources_and_options(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder: unpack an4_sphere"):
        run(tmp_path / "none", tmp_path / "data")
    with pytest.raises(UserError, match=r"neither etc/an4_train.transcription nor wav.scp"):
        run(tmp_path, tmp_path / "data")
    root = distribution(tmp_path / "an4")
    with pytest.raises(UserError, match="--dev_utterances 100: the training list has 4"):
        run(root, tmp_path / "data")
    (root / "etc" / "an4_train.transcription").write_bytes(b"CAF\xc9 (an251-fash-b)\n")
    with pytest.raises(UserError, match=r"transcription:1.*not UTF-8"):
        run(root, tmp_path / "data")
    distribution(tmp_path / "raw", ".raw")
    (tmp_path / "raw" / "wav" / "an4_clstk" / "fash" / "an251-fash-b.raw").write_bytes(b"")
    with pytest.raises(UserError, match=r"an251-fash-b.raw: utterance .* is empty"):
        run(tmp_path / "raw", tmp_path / "data")


def test_recorded_an4(speech: Path, tmp_path: Path) -> None:
    run(speech / "an4", tmp_path / "data")
    assert validate(tmp_path / "data" / "train").num_utterances == 848
    assert validate(tmp_path / "data" / "dev").num_utterances == 100
    words = sum(len(text.split()) for text in load_table(tmp_path / "data" / "dev" / "text").values())
    assert words == 591
    assert not (tmp_path / "data" / "test").exists()
