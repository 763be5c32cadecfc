"""Sizes of batches in multiples, and what a training makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.espnet_task.tones import settings, write_corpus
from xlsrt.errors import UserError
from xlsrt.espnet_task.batches import in_multiples

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def train(tmp_path: Path, **options: Any) -> None:
    """A training on 12 utterances."""
    import torch
    import yaml

    from xlsrt.bin.asr_train import main

    torch.set_num_threads(1)
    data = write_corpus(tmp_path / "corpus")
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings(**options)))
    main(["--config", str(config), "--output_dir", str(tmp_path / "exp"), *data.options])


def cut(sizes: list[int]) -> list[list[str]]:
    utts = iter(range(sum(sizes)))
    return [[str(next(utts)) for _ in range(size)] for size in sizes]


@given(sizes=SIZES, multiple=st.integers(1, 12), least=st.integers(1, 8))
def test_same_utterances_in_order_and_no_batch_is_too_small_or_much_larger(
    sizes: list[int], multiple: int, least: int
) -> None:
    batches = cut([max(size, least) for size in sizes])  # ESPnet's are never smaller than the ranks
    found = in_multiples(batches, multiple, least)
    assert [u for batch in found for u in batch] == [u for batch in batches for u in batch]
    assert all(len(batch) >= least for batch in found)
    assert len(found) <= len(batches)
    # None outgrows the memory for as many more as the multiple.
    assert max(map(len, found)) <= max(map(len, batches)) + max(multiple, least)


@given(sizes=st.lists(st.integers(12, 30), min_size=1, max_size=40), multiple=st.integers(1, 12))
def test_all_sizes_but_the_last_are_multiples(sizes: list[int], multiple: int) -> None:
    found = in_multiples(cut(sizes), multiple)
    assert all(len(batch) % multiple == 0 for batch in found[:-1])
    assert abs(len(found) - len(sizes)) <= 1
    assert max(map(len, found)) <= max(sizes) + multiple


def test_few_long_utterances_stay_few() -> None:
    assert [len(batch) for batch in in_multiples(cut([1] * 6), 4)] == [1] * 6
    assert [len(batch) for batch in in_multiples(cut([2, 3, 3, 5, 6, 7, 9]), 4, 2)] == [2, 3, 3, 4, 8, 8, 7]


@given(sizes=SIZES)
def test_one_changes_nothing(sizes: list[int]) -> None:
    assert in_multiples(cut(sizes), 1) == cut(sizes)


def test_batches_that_are_large_enough_stay_as_many() -> None:
    assert [len(batch) for batch in in_multiples(cut([7, 9, 10, 5, 6]), 4)] == [8, 8, 8, 8, 5]
    # As many processes as have no share in a multiple.
    assert [len(batch) for batch in in_multiples(cut([7] * 6), 4, 6)] == [8, 8, 8, 8, 10]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_multiple": 0}, "batch_multiple is 0; it must be 1"),
        ({"batch_multiple": -4}, "batch_multiple is -4; it must be 1"),
        ({"epoch_share": 0.0}, "epoch_share is 0; it must be above 0"),
        ({"epoch_share": 1.5}, r"epoch_share is 1\.5; it must be above 0 and at most 1"),
        ({"epoch_share": 0.5, "num_iters_per_epoch": 3}, "both say how long an epoch is"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        train(tmp_path, **wrong)


def test_a_training_takes_its_batches_in_multiples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(tmp_path, batch_multiple=4, max_epoch=1, batch_type="sorted", batch_size=6)
    # 12 utterances in sixes, cut after the eighth instead; those of validation stay.
    assert "[train] 2 batches of 4 to 8 utterances, 12 in all" in caplog.text
    assert "1epoch:train:2/2batch" in caplog.text or "1/1epoch started, 2 batches" in caplog.text


def test_an_epoch_may_take_a_share_and_the_next_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    train(tmp_path, epoch_share=0.5, max_epoch=2, batch_type="sorted", batch_size=3)
    assert "[train] 4 batches of 3 to 3 utterances, 12 in all" in caplog.text
    assert "1/2epoch started, 2 batches" in caplog.text and "2/2epoch started, 2 batches" in caplog.text
