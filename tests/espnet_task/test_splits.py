"""A training set that is read in parts: every utterance once, one part in memory, resuming in an epoch."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.espnet_task.test_training import Killed, kill_at
from tests.espnet_task.tones import (
    Corpus,
    Train,
    largest_difference,
    settings,
    write_corpus,
    write_languages,
)
from xlsrt.bin.asr_train import main
from xlsrt.data.splits import split_files, split_of
from xlsrt.errors import UserError
from xlsrt.espnet_task.iterator import SplitIterFactory, read_lengths
from xlsrt.espnet_task.task import XlsrASRTask


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


def made(corpus: Corpus, distributed: bool = False, **changes: Any) -> SplitIterFactory:
    """The training's batches."""
    args = XlsrASRTask.get_parser().parse_args(
        [*corpus.options, "--output_dir", "x", "--batch_bins", "30000"]
    )
    vars(args).update(num_workers=0, token_list=["<blank>", "<unk>", *"abcd", "<sos/eos>"], **changes)
    option = type("Ranks", (), {"distributed": distributed})()
    return XlsrASRTask.build_multiple_iter_factory(args, option, "train")


@pytest.fixture
def factory(corpus: Corpus, tmp_path: Path) -> SplitIterFactory:
    return made(corpus.in_parts(tmp_path / "splits"))


@pytest.fixture
def languages(tmp_path: Path) -> Corpus:
    """Of two languages, one of which its second part lacks."""
    corpus = write_corpus(tmp_path / "languages")
    write_languages(corpus)
    return corpus.in_parts(tmp_path / "splits")


def test_each_part_is_balanced_by_itself(languages: Corpus) -> None:
    lengths = read_lengths(f"{languages.root}/train/speech_shape")
    few = {line.split()[0] for line in (languages.root / "train/utt2lang").open() if line.endswith("et\n")}
    factory = made(languages, language_balance=0.0)
    plain = made(languages)
    seconds: Counter[bool] = Counter()
    for epoch in range(1, 41):
        batches = [names for names, _ in factory.build_iter(epoch)]
        assert [len(names) for names in batches] == [len(names) for names, _ in plain.build_iter(epoch)]
        assert all(len({split_of(name, 2) for name in names}) == 1 for names in batches)
        for name in (name for names in batches for name in names if split_of(name, 2) == 0):
            seconds[name in few] += lengths[name]
        if epoch == 2:
            rest = [names for names, _ in factory.build_iter(2, skip=3)]
            assert rest == batches[3:]
    assert seconds[True] / seconds.total() == pytest.approx(0.5, abs=0.1)
    first = [factory.build[number]().balance for number in (0, 1)]
    assert [len(balance.languages) for balance in first] == [
        sum(split_of(name, 2) == number for name in lengths) for number in (0, 1)
    ]
    assert sorted(first[1].wanted) == ["es"]


def test_ranks_balance_their_own_utterances(languages: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    of_rank = []
    for rank in (0, 1):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        factory = made(languages, distributed=True, language_balance=0.0)
        of_rank.append([names for names, _ in factory.build_iter(1)])
        assert len(of_rank[-1]) == factory.num_batches()
    assert len(of_rank[0]) == len(of_rank[1])
    assert all(len(one) - len(other) in (0, 1) for one, other in zip(*of_rank, strict=True))
    names = [{name for batch in batches for name in batch} for batches in of_rank]
    assert not names[0] & names[1]


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
        def counted():
            gc.collect()
            found = one()
            alive.add(found.dataset)
            most.append(len(alive))
            return found

        return counted

    monkeypatch.setattr(factory, "build", [counting(one) for one in build])
    assert len(list(factory.build_iter(1))) == factory.num_batches()
    assert most == [1, 1]


@pytest.mark.parametrize("balance", [1.0, 0.0])
@pytest.mark.parametrize("update", [2, 5])
def test_killed_within_an_epoch_continues_to_the_same_weights(
    languages: Corpus,
    run: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    update: int,
    balance: float,
) -> None:
    words = languages.options
    # Six batches or more: one kill comes in the first split, the other in the second.
    changes = {"batch_type": "sorted", "batch_size": 2, "max_epoch": 1, "checkpoint_seconds": 0.0}
    changes["language_balance"] = balance
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
    words = corpus.in_parts(tmp_path / "splits").options
    with pytest.raises(UserError, match="curriculum_epochs looks at the whole training set"):
        run("wrong", *words, curriculum_epochs=1)
    with pytest.raises(UserError, match=r"splits/utt2lang/split.0: no such file, so the languages cannot be"):
        run("wrong", *words, language_balance=0.5)
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
