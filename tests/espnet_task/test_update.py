"""What updates on a GPU depend on, as far as it shows without one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet2.train.reporter import Reporter
from torch import nn

from xlsrt.espnet_task.training_run import TrainingRun
from xlsrt.espnet_task.update import Updater
from xlsrt.tensor_files import write_torch


@pytest.mark.parametrize(("major", "dtype"), [(7, torch.float16), (8, torch.bfloat16)])
def test_gpus_that_only_emulate_bfloat16_take_float16(
    monkeypatch: pytest.MonkeyPatch, major: int, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=major))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    options: Any = SimpleNamespace(ngpu=1, use_amp=True, cpu_amp=False)
    model: Any = nn.Linear(2, 2)
    ranks: Any = SimpleNamespace(distributed=False)
    updater = Updater(model, model, torch.optim.AdamW(model.parameters()), options, ranks)
    assert updater.dtype == dtype and (updater.scaler is not None) == (dtype == torch.float16)


def test_a_checkpoint_is_read_to_the_cpu(tmp_path: Path) -> None:
    """AdamW's count of steps stays where it was read to; this machine has no GPU to read it to."""
    model: Any = nn.Linear(2, 2)
    model.load_training_state = lambda state: None
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    run: Any = object.__new__(TrainingRun)
    run.model, run.optimizer, run.scheduler = model, torch.optim.AdamW(model.parameters()), None
    run.device, run.checkpoint = torch.device("cuda"), tmp_path / "checkpoint.pth"
    run.ranks, run.updater = SimpleNamespace(rank=0, size=1), SimpleNamespace(scaler=None)
    run.reporter, run.batches_per_epoch = Reporter(), 1
    saved = {"model": model.state_dict(), "optimizers": [optimizer.state_dict()], "training_state": {}}
    write_torch(run.checkpoint, {**saved, "reporter": {}, "epochs_done": 0, "position": None})
    assert run._resume() is None
    steps = [state["step"] for state in run.optimizer.state.values()]
    assert [(step.device.type, float(step)) for step in steps] == [("cpu", 1.0)] * 2
