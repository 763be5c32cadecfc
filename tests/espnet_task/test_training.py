"""A training from its first update to its averaged model."""

from __future__ import annotations

import pytest
import torch
import yaml

from tests.espnet_task.tones import PLAIN, Train, largest_difference, weights
from xlsrt.errors import UserError
from xlsrt.espnet_task.update import Updater


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, update: int) -> None:
    """Die within the update with this number (of this process)."""
    step, seen = Updater.step, []

    def counting(self, sub):
        seen.append(1)
        if len(seen) == update:
            raise Killed
        return step(self, sub)

    monkeypatch.setattr(Updater, "step", counting)


def test_writes_what_decoding_and_espnet_users_look_for(train: Train) -> None:
    out = train(
        "full", "--use_tensorboard", "true", "--use_matplotlib", "true", max_epoch=3, keep_nbest_models=[2]
    )
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["encoder_conf"]["config"]["hidden_size"] == 96
    assert config["encoder_conf"]["config"]["freeze_feature_extractor"] is False
    assert config["encoder_conf"]["eval_context"] == {"chunk_ms": 160, "left_ms": 160, "sink_frames": 0}
    assert config["token_list"][0] == "<blank>"
    assert (out / "latest.pth").resolve().name == "3epoch.pth"
    assert (out / "valid.ter.ave.pth").resolve().name == "valid.ter.ave_2best.pth"
    assert list((out / "tensorboard").rglob("events*")) and (out / "images" / "loss.png").stat().st_size > 0
    assert not list(out.glob(".*.tmp"))
    kept = sorted(path.name for path in out.glob("*epoch.pth"))
    assert 2 <= len(kept) <= 3 and "3epoch.pth" in kept
    best = (out / "valid.ter.best.pth").resolve().name
    assert best in kept
    names = weights(out / best)
    assert {name.split(".")[0] for name in names} == {"encoder", "head"}
    assert all(name.startswith(("encoder.xlsr.", "head.")) for name in names)


def test_learns(train: Train) -> None:
    out = train("learns", max_epoch=12, scheduler=None, optim_conf={"lr": 0.003})
    stats = torch.load(out / "checkpoint.pth", weights_only=True)["reporter"]
    assert stats[12]["valid"]["loss"] < 0.7 * stats[1]["valid"]["loss"]
    assert 0 <= stats[12]["valid"]["ter"] <= 1.5


@pytest.mark.parametrize("update", [1, 3, 4, 6])
def test_killed_within_an_epoch_continues_to_the_same_weights(
    train: Train, monkeypatch: pytest.MonkeyPatch, update: int
) -> None:
    whole = train("whole")
    with monkeypatch.context() as patch:
        kill_at(patch, update)
        with pytest.raises(Killed):
            train("killed", checkpoint_seconds=0.0)
    again = train("killed", checkpoint_seconds=0.0)
    assert largest_difference(whole / "latest.pth", again / "latest.pth") == 0
    ours, theirs = (torch.load(d / "checkpoint.pth", weights_only=True) for d in (again, whole))
    assert ours["training_state"] == theirs["training_state"]
    assert ours["schedulers"] == theirs["schedulers"]
    for epoch in (1, 2):
        for key in ("loss", "grad_norm", "total_count"):
            assert ours["reporter"][epoch]["train"][key] == pytest.approx(
                theirs["reporter"][epoch]["train"][key]
            )


def test_a_finished_training_is_left_alone(train: Train) -> None:
    out = train("done")
    before = weights(out / "latest.pth")
    stamp = (out / "checkpoint.pth").stat().st_mtime_ns
    train("done")
    assert (out / "checkpoint.pth").stat().st_mtime_ns == stamp
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(out / "latest.pth").items())


def test_killed_between_checkpoint_and_links(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    from xlsrt.espnet_task.training_run import TrainingRun

    tidy, seen = TrainingRun._tidy, []

    def dying(self):
        seen.append(1)
        if len(seen) == 2:
            raise Killed
        return tidy(self)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "_tidy", dying)
        with pytest.raises(Killed):
            train("links")
    out = train("links")
    assert (out / "latest.pth").resolve().name == "2epoch.pth"
    assert largest_difference(train("whole") / "latest.pth", out / "latest.pth") == 0


def test_accumulated_gradients_equal_a_larger_batch(train: Train) -> None:
    plain = {
        "encoder_conf": {"config": PLAIN, "train_context": {"chunk_ms": None}},
        "max_epoch": 1,
        "scheduler": None,
        "optim": "sgd",
        "optim_conf": {"lr": 0.01},
        "grad_clip": 1e9,
        "batch_type": "sorted",
    }
    one = train("batch4", **plain, batch_size=12)
    other = train("batch2x2", **plain, batch_size=6, accum_grad=2)
    assert largest_difference(one / "1epoch.pth", other / "1epoch.pth") < 1e-5
    third = train("batch6", **plain, batch_size=6)
    assert largest_difference(one / "1epoch.pth", third / "1epoch.pth") > 1e-4


def test_diverged_training_is_an_error_that_says_what_to_do(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xlsrt.transducer import TransducerHead

    losses = TransducerHead.losses

    def broken(self, *args, **kwargs):
        return {name: value * float("nan") for name, value in losses(self, *args, **kwargs).items()}

    monkeypatch.setattr(TransducerHead, "losses", broken)
    with pytest.raises(UserError, match=r"diverged: 3 updates in a row.*train\d\d.*optim_conf.lr"):
        train("nan", max_invalid_updates=3)


def test_a_frozen_encoder_does_not_move(train: Train) -> None:
    conf = {"config": {"preset": "tiny", "freeze_encoder_updates": 100}, "train_context": {"chunk_ms": None}}
    out = train("frozen", encoder_conf=conf, max_epoch=2, keep_nbest_models=[2])
    first, second = weights(out / "1epoch.pth"), weights(out / "2epoch.pth")
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved and not [name for name in moved if name.startswith("encoder.")]


def test_ctc_comes_first(train: Train) -> None:
    out = train(
        "ctc", model_conf={"ctc_weight": 0.3, "ctc_only_updates": 100}, max_epoch=2, keep_nbest_models=[2]
    )
    first, second = weights(out / "1epoch.pth"), weights(out / "2epoch.pth")
    moved = {
        name.split(".")[1]
        for name in first
        if name.startswith("head.") and not torch.equal(first[name], second[name])
    }
    assert moved == {"ctc"}


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_signals_save_and_leave(train: Train, monkeypatch: pytest.MonkeyPatch, signal_name: str) -> None:
    import os
    import signal

    number = getattr(signal, signal_name)
    step, seen = Updater.step, []

    def signalling(self, sub):
        seen.append(1)
        if len(seen) == 2:
            os.kill(os.getpid(), number)
        if len(seen) == 2:
            # A queue tells the whole job, and the processes between it and us hand it on.
            os.kill(os.getpid(), number)
        return step(self, sub)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "step", signalling)
        with pytest.raises(SystemExit) as left:
            train("signal")
    assert left.value.code == 128 + number
    assert len(seen) == 2, "it left at the next update"
    again = train("signal")
    assert largest_difference(train("whole") / "latest.pth", again / "latest.pth") == 0


@pytest.mark.parametrize("in_hardware", [True, False])
def test_bfloat16_on_the_cpu(train: Train, monkeypatch: pytest.MonkeyPatch, in_hardware: bool) -> None:
    monkeypatch.setattr("xlsrt.espnet_task.update.multiplies_bfloat16", lambda: in_hardware)
    out = train("bf16", cpu_amp=True, max_epoch=1)
    assert all(torch.isfinite(tensor).all() for tensor in weights(out / "latest.pth").values())
    exact = train("fp32", max_epoch=1)
    difference = largest_difference(out / "latest.pth", exact / "latest.pth")
    assert 0 < difference < 0.1 if in_hardware else difference == 0
