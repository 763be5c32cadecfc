"""A training set that is read in parts: every utterance once, one part in memory, resuming in an epoch."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.espnet_task.test_training import Killed, kill_at
from tests.espnet_task.tones import Corpus, Train, largest_difference, settings
from xlsrt.bin.asr_train import main
from xlsrt.data.splits import split_files, split_of
from xlsrt.errors import UserError
from xlsrt.espnet_task.iterator import SplitIterFactory
from xlsrt.espnet_task.task import XlsrASRTask

FILES = ("speech_shape", "wav.scp", "text")


def options(corpus: Corpus, folder: Path, num_splits: int = 2) -> list[str]:
    """The corpus's options with the training set in splits."""
    split_files([corpus.root / "train" / name for name in FILES], num_splits, folder)
    words = [word.replace(f"{corpus.root}/train/", f"{folder}/") for word in corpus.options]
    return [*words, "--multiple_iterator", "true"]


@pytest.fixture
def run(tmp_path: Path) -> Train:
    """As ``train``, on the data options given."""

    def start(name: str, *words: str, **changes: Any) -> Path:
        torch.set_num_threads(1)
        config = tmp_path / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings(**changes)))
        main(["--config", str(config), "--output_dir", str(tmp_path / name), *words])
        return tmp_path / name

    return start


@pytest.fixture
def factory(corpus: Corpus, tmp_path: Path) -> SplitIterFactory:
    args = XlsrASRTask.get_parser().parse_args(
        [*options(corpus, tmp_path / "splits"), "--output_dir", "x", "--batch_bins", "30000"]
    )
    vars(args).update(num_workers=0, token_list=["<blank>", "<unk>", *"abcd", "<sos/eos>"])
    option = type("Single", (), {"distributed": False})()
    return XlsrASRTask.build_multiple_iter_factory(args, option, "train")


def test_every_utterance_once_in_a_new_order_each_epoch(factory: SplitIterFactory) -> None:
    epochs = [[tuple(names) for names, _ in factory.build_iter(epoch)] for epoch in (1, 2, 3)]
    assert all(len(batches) == factory.num_batches() for batches in epochs)
    for batches in epochs:
        assert sorted(name for names in batches for name in names) == [f"train{n:02d}" for n in range(12)]
        # A batch is of one split.
        assert all(len({split_of(name, 2) for name in names}) == 1 for names in batches)
    assert len({tuple(batches) for batches in epochs}) > 1
    for skip in range(factory.num_batches() + 1):
        assert [tuple(names) for names, _ in factory.build_iter(2, skip=skip)] == epochs[1][skip:]


def test_one_split_is_in_memory_at_a_time(factory: SplitIterFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[object] = weakref.WeakSet()
    most = []
    build = factory.build

    def counting(one):
        def made():
            gc.collect()
            made_factory = one()
            alive.add(made_factory.dataset)
            most.append(len(alive))
            return made_factory

        return made

    monkeypatch.setattr(factory, "build", [counting(one) for one in build])
    assert len(list(factory.build_iter(1))) == factory.num_batches()
    assert most == [1, 1]


@pytest.mark.parametrize("update", [2, 5])
def test_killed_within_an_epoch_continues_to_the_same_weights(
    corpus: Corpus, run: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: int
) -> None:
    words = options(corpus, tmp_path / "splits")
    # Six batches or more: one kill comes in the first split, the other in the second.
    changes = {"batch_type": "sorted", "batch_size": 2, "max_epoch": 1, "checkpoint_seconds": 0.0}
    whole = run("whole", *words, **changes)
    with monkeypatch.context() as patch:
        kill_at(patch, update)
        with pytest.raises(Killed):
            run("killed", *words, **changes)
    position = torch.load(tmp_path / "killed/checkpoint.pth", weights_only=True)["position"]
    assert position["batches_done"] == update - 1
    again = run("killed", *words, **changes)
    assert largest_difference(whole / "latest.pth", again / "latest.pth") == 0


def test_mistakes_are_named(corpus: Corpus, run: Train, tmp_path: Path) -> None:
    words = options(corpus, tmp_path / "splits")
    with pytest.raises(UserError, match="curriculum_epochs and language_balance"):
        run("wrong", *words, curriculum_epochs=1)
    with pytest.raises(UserError, match=r"speech_shape .*not a folder of splits.*split_data"):
        run("wrong", *corpus.options, "--multiple_iterator", "true")
    lines = (tmp_path / "splits/text/split.1").read_text().splitlines()
    (tmp_path / "splits/text/split.1").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(UserError, match=r"text/split.1 has no text for 1 utterances"):
        run("wrong", *words)
    with pytest.raises(UserError, match="too few utterances for 50 splits"):
        split_files([corpus.root / "train" / "text"], 50, tmp_path / "many")
    with pytest.raises(UserError, match="no such file"):
        split_files([corpus.root / "train" / "txt"], 2, tmp_path / "none")
