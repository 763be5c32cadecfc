"""Audio files that break while a training reads them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.espnet_task.tones import settings, write_corpus
from xlsrt.espnet_task.audio_errors import TellingLoader, UnreadableAudio
from xlsrt.tree import write_tree


@pytest.mark.parametrize(("num_workers", "missing"), [(0, True), (1, False)])
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, num_workers: int, missing: bool) -> None:
    from xlsrt.bin.asr_train import main

    corpus = write_corpus(tmp_path / "data", train=4, valid=2)
    broken = tmp_path / "data/train/train02.flac"
    broken.unlink() if missing else broken.write_bytes(b"nothing")
    config = tmp_path / "train.yaml"
    write_tree(config, settings(num_workers=num_workers, max_epoch=1))
    with pytest.raises(UnreadableAudio) as raised:
        main(["--config", str(config), "--output_dir", str(tmp_path / "exp"), *corpus.options])
    told = str(raised.value)
    assert told.startswith(f"{tmp_path}/data/train/wav.scp: utterance 'train02': {broken} cannot be read (")
    assert told.endswith("run stage 2 again") and "\n" not in told
    # They ignore signals, and the interpreter waits for them at its end.
    assert not multiprocessing.active_children()


def test_the_last_line_of_a_workers_traceback_is_what_it_said() -> None:
    name = f"{UnreadableAudio.__module__}.{UnreadableAudio.__name__}"
    head = "Caught UnreadableAudio in DataLoader worker process 0.\nOriginal Traceback:\n  File x\n"
    assert str(UnreadableAudio(f"{head}{name}: a.flac: broken\n")) == "a.flac: broken"


@pytest.mark.parametrize("blank", [" ", "\t", " \t"])
def test_the_file_is_found_whatever_stands_before_it(tmp_path: Path, blank: str) -> None:
    table = tmp_path / "wav.scp"
    table.write_text(f"\nu1{blank}a.wav\nu2{blank}my b.wav\n", encoding="utf-8")
    with pytest.raises(UnreadableAudio, match=r"'u2': my b\.wav cannot be read"):
        TellingLoader({}, str(table))["u2"]
