"""Which GPU decodes which shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.decoding.config import DecodeConfig
from xlsrt.decoding.job import Job, device_of
from xlsrt.errors import UserError

HERE = Path()


def job(ngpu: int) -> Job:
    return Job(HERE, None, DecodeConfig.from_dict({}), HERE, HERE, nj=4, ngpu=ngpu)


def test_shards_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLSRT_SLOT", raising=False)
    assert [device_of(job(2), number, 4) for number in (1, 2, 3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of(job(0), 2, 0) == "cpu"
    with pytest.raises(UserError, match="torch sees no GPU"):
        device_of(job(1), 1, 0)


@pytest.mark.parametrize(("slot", "device"), [("0", "cuda:0"), ("1", "cuda:1"), ("2", "cuda:0")])
def test_jobs_on_one_machine_of_several_take_them_in_turn(
    monkeypatch: pytest.MonkeyPatch, slot: str, device: str
) -> None:
    monkeypatch.setenv("XLSRT_SLOT", slot)
    assert device_of(job(1), 3, 2) == device
