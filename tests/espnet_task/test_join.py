"""Joined utterances: nothing lost, nothing invented, the same for the same batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xlsrt.errors import UserError
from xlsrt.espnet_task.join import JoinConfig, join_batch


def _batch(
    lens: list[int], token_lens: list[int]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Utterance i holds samples and tokens that say i."""
    wav, ids = torch.zeros(len(lens), max(lens)), torch.full((len(lens), max(token_lens)), -1)
    for i, (n, u) in enumerate(zip(lens, token_lens, strict=True)):
        wav[i, :n], ids[i, :u] = i + 1, i + 1
    return (wav, torch.tensor(lens)), (ids, torch.tensor(token_lens))


def _runs(row: torch.Tensor) -> list[int]:
    return [int(v) for v in torch.unique_consecutive(row)]


@pytest.mark.parametrize("seed", range(20))
def test_every_sample_and_token_stays_in_the_same_order(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    size = int(torch.randint(1, 9, (1,), generator=draw))
    lens = torch.randint(800, 40000, (size,), generator=draw).tolist()
    token_lens = torch.randint(0, 6, (size,), generator=draw).tolist()
    config = JoinConfig(utterances=3, seconds=4.0, pause=(0.0, 0.0))
    (wav, n), (ids, u) = join_batch(config, config.number(draw), *_batch(lens, token_lens), None, draw)
    assert n.sum() == sum(lens) and u.sum() == sum(token_lens)
    heard = []
    for row, samples, text, tokens in zip(wav, n, ids, u, strict=True):
        said = _runs(row[:samples])
        assert not row[samples:].any() and (text[tokens:] == -1).all()
        assert [i for i in said if token_lens[i - 1]] == (_runs(text[:tokens]) if tokens else [])
        assert len(said) <= 3 and (len(said) == 1 or samples <= 4 * 16000)
        heard += said
    assert sorted(heard) == list(range(1, size + 1))


def test_pauses_are_as_quiet_as_the_utterance_and_spaces_part_words() -> None:
    speech, text = _batch([16000, 16000, 16000, 16000], [2, 2, 0, 2])
    speech[0][:, :320] *= 0.01
    config = JoinConfig(utterances=8, seconds=60.0, pause=(0.5, 0.5))
    (wav, n), (ids, u) = join_batch(config, 8, speech, text, 9, torch.Generator().manual_seed(3))
    assert n.tolist() == [4 * 16000 + 3 * 8000]
    assert (ids == 9).sum() == 2 and u.tolist() == [8]  # none beside the empty transcript
    gap = wav[0, 16000:24000]
    assert 0 < gap.abs().max() < 0.25
    same = join_batch(config, 8, speech, text, 9, torch.Generator().manual_seed(3))
    assert torch.equal(same[0][0], wav)


def test_skewed_pauses_are_mostly_short_and_count_as_length() -> None:
    config = JoinConfig(utterances=2, seconds=6.0, pause=(0.25, 4.25), pause_skew=3)
    drawn = []
    for seed in range(300):
        draw = torch.Generator().manual_seed(seed)
        (_, n), _ = join_batch(config, 2, *_batch([16000] * 2, [1] * 2), None, draw)
        assert max(n) <= 6 * 16000
        if len(n) == 1:
            drawn.append(int(n[0]) - 32000)
    assert 250 < len(drawn) <= 300 and min(drawn) >= 4000 and 40000 < max(drawn) <= 64000
    below = sum(pause < 4000 + 64000 / 2**3 for pause in drawn)
    assert 0.42 < below / 300 < 0.58


def test_leads_are_as_quiet_as_the_utterance_and_come_first_only() -> None:
    speech, text = _batch([16000] * 4, [2] * 4)
    speech[0][:, :320] *= 0.01
    for utterances, rows in ((1, 4), (2, 2)):
        config = JoinConfig(utterances=utterances, seconds=60.0, pause=(0.0, 0.0), lead=(0.25, 0.5))
        assert config.active
        (wav, n), (_, u) = join_batch(
            config, utterances, speech, text, None, torch.Generator().manual_seed(1)
        )
        leads = n - utterances * 16000
        assert len(n) == rows and (leads >= 4000).all() and (leads <= 8000).all() and len(set(n.tolist())) > 1
        assert u.tolist() == [2 * utterances] * rows
        for row, lead in zip(wav, leads.tolist(), strict=True):
            assert 0 < row[:lead].abs().max() < 0.25 and (row[lead + 320 : lead + 16000] >= 1).all()
    assert not JoinConfig().active


def test_a_share_of_pauses_and_leads_is_digital_silence() -> None:
    speech, text = _batch([16000] * 2, [1] * 2)
    config = JoinConfig(utterances=2, seconds=60.0, pause=(0.5, 0.5), lead=(0.5, 0.5), zeros=0.25)
    silent = []
    for seed in range(200):
        (wav, _), _ = join_batch(config, 2, speech, text, None, torch.Generator().manual_seed(seed))
        silent += [not part.any() for part in (wav[0, :8000], wav[0, 24000:32000])]
    assert 0.17 < sum(silent) / len(silent) < 0.33
    assert sum(lead != pause for lead, pause in zip(silent[::2], silent[1::2], strict=True)) > 10


def test_long_utterances_stay_alone() -> None:
    config = JoinConfig(utterances=4, seconds=1.0)
    (_, n), _ = join_batch(config, 4, *_batch([32000, 30000, 20000], [1, 1, 1]), None, torch.Generator())
    assert sorted(n.tolist()) == [20000, 30000, 32000]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"utterances": 0}, "join.utterances"),
        ({"seconds": 0}, "join.seconds"),
        ({"pause": [2, 1]}, "join.pause"),
        ({"pauses": 1}, "pauses"),
        ({"lead": [0.5, 0.1]}, "lead"),
        ({"lead": [0, float("inf")]}, "lead"),
        ({"zeros": 1.5}, "join.zeros"),
        ({"pause_skew": 0.5}, "join.pause_skew"),
        ({"pause_skew": "much"}, "join.pause_skew"),
        ({"pause_skew": float("nan")}, "join.pause_skew"),
        ({"utterances": "three"}, "join.utterances"),
        ({"seconds": "long"}, "join.seconds"),
        ({"pause": 1.0}, "join.pause"),
        ({"pause": ["a", "b"]}, "join.pause"),
        (3, "model_conf.join is 3"),
    ],
)
def test_nonsense_is_refused_by_name(values: Any, named: str) -> None:
    with pytest.raises(UserError, match=named):
        JoinConfig.from_dict(values)


def test_a_batch_keeps_to_one_number_of_utterances() -> None:
    config = JoinConfig(utterances=4, seconds=60.0)
    drawn = {config.number(torch.Generator().manual_seed(seed)) for seed in range(40)}
    assert drawn == {1, 2, 3, 4}
    for number in drawn:
        batch = _batch([16000] * 12, [1] * 12)
        _, (_, u) = join_batch(config, number, *batch, None, torch.Generator())
        assert u.tolist() == [number] * (12 // number)
