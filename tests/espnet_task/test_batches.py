"""Sizes of batches in multiples, and what a training makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.espnet_task.tones import settings, write_corpus
from xlsrt.errors import UserError
from xlsrt.espnet_task.batches import in_multiples

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def cut(sizes: list[int]) -> list[list[str]]:
    utts = iter(range(sum(sizes)))
    return [[str(next(utts)) for _ in range(size)] for size in sizes]


@given(sizes=SIZES, multiple=st.integers(1, 12), least=st.integers(1, 4))
def test_same_utterances_in_order_and_all_sizes_but_the_last_are_multiples(
    sizes: list[int], multiple: int, least: int
) -> None:
    batches = cut(sizes)
    found = in_multiples(batches, multiple, least)
    assert [u for batch in found for u in batch] == [u for batch in batches for u in batch]
    assert all(len(batch) % multiple == 0 and batch for batch in found[:-1])
    assert len(found) <= len(batches)
    assert len(found[-1]) >= min(least, sum(sizes)) or multiple == 1
    # A cut goes half a multiple away at most, so a batch never grows by more than one (the last by a rest).
    assert max(map(len, found)) < max(max(sizes), multiple) + multiple + least


@given(sizes=SIZES)
def test_one_changes_nothing(sizes: list[int]) -> None:
    assert in_multiples(cut(sizes), 1) == cut(sizes)


def test_batches_that_are_large_enough_stay_as_many() -> None:
    found = in_multiples(cut([7, 9, 10, 5, 6]), 4)
    assert [len(batch) for batch in found] == [8, 8, 12, 4, 5]
    assert [len(batch) for batch in in_multiples(cut([3, 3, 3, 3]), 4)] == [4, 4, 4]


@pytest.mark.parametrize("wrong", [0, -4])
def test_a_multiple_below_one_is_refused(tmp_path: Path, wrong: int) -> None:
    import yaml

    from xlsrt.bin.asr_train import main

    data = write_corpus(tmp_path / "corpus")
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings(batch_multiple=wrong)))
    with pytest.raises(UserError, match=f"batch_multiple is {wrong}; it must be 1"):
        main(["--config", str(config), "--output_dir", str(tmp_path / "exp"), *data.options])


def test_a_training_takes_its_batches_in_multiples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import torch
    import yaml

    from xlsrt.bin.asr_train import main

    torch.set_num_threads(1)
    data = write_corpus(tmp_path / "corpus")
    config = tmp_path / "train.yaml"
    own = settings(batch_multiple=4, max_epoch=1, batch_type="sorted", batch_size=6)
    config.write_text(yaml.safe_dump(own))
    caplog.set_level("INFO")
    main(["--config", str(config), "--output_dir", str(tmp_path / "exp"), *data.options])
    # 12 utterances in sixes, cut after the eighth instead; those of validation stay.
    assert "[train] 2 batches of 4 to 8 utterances, 12 in all" in caplog.text
    assert "1epoch:train:2/2batch" in caplog.text or "1/1epoch started, 2 batches" in caplog.text
