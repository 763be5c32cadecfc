from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.data.conftest import MakeSet
from xlsrt.data.kaldi_source import add_arguments, prepare
from xlsrt.data.readers import find_readers, load_reader
from xlsrt.data.tables import load_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError


def run(source: Path, output: Path, *options: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--source", str(source), *options])
    args.output_dir = str(output)
    prepare(args)


def test_an_unsorted_set_with_relative_paths(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set()
    for name in ("text", "utt2spk"):
        lines = (source / name).read_text().splitlines(keepends=True)
        (source / name).write_text("".join(reversed(lines)).replace("\n", "\r\n"))
    (source / "wav.scp").write_text(
        "".join(f"{utt} wavs/{utt}.wav\n" for utt in ("spk2-c", "spk1-b", "spk1-a"))
    )
    run(source, tmp_path / "data", "--set_name", "train")
    assert validate(tmp_path / "data" / "train").num_utterances == 3
    assert load_table(tmp_path / "data" / "train" / "wav.scp")["spk1-a"] == str(
        source / "wavs" / "spk1-a.wav"
    )
    assert b"\r" not in (tmp_path / "data" / "train" / "text").read_bytes()


def test_a_folder_of_sets_and_segments_that_come_and_go(make_set: MakeSet, tmp_path: Path) -> None:
    make_set("sets/train"), make_set("sets/test")
    (tmp_path / "sets" / "train" / "segments").write_text(
        "".join(f"{utt} {utt} 0 0.1\n" for utt in ("spk1-a", "spk1-b", "spk2-c"))
    )
    run(tmp_path / "sets", tmp_path / "data")
    assert (tmp_path / "data" / "train" / "segments").exists()
    assert validate(tmp_path / "data" / "test").num_utterances == 3
    (tmp_path / "sets" / "train" / "segments").unlink()
    run(tmp_path / "sets", tmp_path / "data")
    assert not (tmp_path / "data" / "train" / "segments").exists()


def test_a_bad_set_never_stands_under_its_name(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set()
    (source / "wavs" / "spk1-a.wav").unlink()
    with pytest.raises(UserError, match=r"utterance 'spk1-a'.*no such audio file"):
        run(source, tmp_path / "data", "--set_name", "train")
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(UserError, match=r"no wav.scp in it"):
        run(tmp_path / "data", tmp_path / "data2")
    with pytest.raises(UserError, match="is the output directory itself"):
        run(source, tmp_path, "--set_name", source.name)


def test_pipes_need_permission(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(utts={"s-a": "one"})
    (source / "wav.scp").write_text(f"s-a cat {source}/wavs/s-a.wav |\n")
    with pytest.raises(UserError, match="--allow_pipes true"):
        run(source, tmp_path / "data")
    run(source, tmp_path / "data", "--allow_pipes", "true")
    assert (tmp_path / "data" / "set" / "wav.scp").read_text() == f"s-a cat {source}/wavs/s-a.wav |\n"


def test_every_reader_has_the_interface() -> None:
    readers = find_readers()
    assert {"an4", "fsdd", "kaldi"} <= readers.keys()
    for kind in readers:
        reader = load_reader(kind)
        assert kind == reader.NAME and reader.HELP
        parser = argparse.ArgumentParser()
        reader.add_arguments(parser)
        assert callable(reader.prepare)
