"""Self-supervised training through ESPnet's machinery: from audio to an encoder that loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.espnet_task.tones import Corpus, largest_difference
from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.bin.pretrain import main
from xlsrt.encoder.checkpoints import save_pretrained
from xlsrt.encoder.checkpoints.pretraining import NAMES
from xlsrt.errors import UserError
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.ssl_model import SslModel
from xlsrt.espnet_task.update import Updater
from xlsrt.pretrain.best_rq import BestRq, BestRqConfig
from xlsrt.pretrain.masked import MaskConfig
from xlsrt.pretrain.monitor import MonitorConfig

SMALL = {"preset": "tiny", "conv_dim": 16, "hidden_size": 32, "ffn_size": 64, "pos_conv_kernel": 16}
CONTEXTS = {
    "train_context": {"chunk_frames": [8, 16], "left": [0, "1x"], "sink_frames": [0, 4], "full_prob": 0.2},
    "eval_context": {"chunk_frames": 8, "left_frames": 8, "sink_frames": 4},
}

Adapt = Callable[..., Path]


def settings(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "encoder_conf": {"config": {**SMALL, "layer_drop": 0.1}, "augment": {"gain_db": 6}, **CONTEXTS},
        "objective_conf": {"codebooks": 2, "codebook_size": 16, "num_mels": 20, "num_cepstra": 8},
        "mask_conf": {"length": 4},
        "optim_conf": {"lr": 0.003},
        "batch_bins": 40000,
        "num_workers": 0,
        "max_epoch": 2,
        "use_tensorboard": False,
        "use_matplotlib": False,
    }
    return base | changes


@pytest.fixture
def adapt(corpus: Corpus, tmp_path: Path) -> Adapt:
    def run(name: str, *options: str, objective: str = "best_rq", **changes: Any) -> Path:
        torch.set_num_threads(1)
        config = tmp_path / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings(**changes)))
        data: list[str] = []
        for phase in ("train", "valid"):
            data += [f"--{phase}_data_path_and_name_and_type", f"{corpus.root}/{phase}/wav.scp,speech,sound"]
            data += [f"--{phase}_shape_file", f"{corpus.root}/{phase}/speech_shape"]
        output = tmp_path / name
        words = ["--objective", objective, "--config", str(config), "--output_dir", str(output)]
        main([*words, *data, *options])
        return output

    return run


def test_it_learns_and_what_it_exports_loads(adapt: Adapt) -> None:
    out = adapt("learns", "--use_tensorboard", "true", max_epoch=8, keep_nbest_models=[1])
    stats = torch.load(out / "checkpoint.pth", weights_only=True)["reporter"]
    assert stats[8]["valid"]["loss"] < stats[1]["valid"]["loss"] - 0.02
    for figure in ("accuracy", "baseline", "code_use", "feature_std"):
        assert min(stats[8]["train"][figure], stats[8]["valid"][figure]) > 0
    assert list((out / "tensorboard").rglob("events*"))
    encoder = XlsrEncoder.from_pretrained(str(out / "encoder"))
    trained = torch.load(out / "valid.loss.ave.pth", weights_only=True)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, trained[f"encoder.xlsr.{name}"]), name
    again = XlsrEncoder.from_pretrained(str(out / "valid.loss.best.pth"))
    assert again.config.hidden_size == 32
    # From random weights there is no other configuration than the training's.
    assert encoder.config.layer_drop == 0.1


def test_an_adapted_encoder_keeps_the_configuration_of_its_origin(adapt: Adapt, tmp_path: Path) -> None:
    origin = XlsrEncoder(XlsrConfig.from_dict({**SMALL, "layer_drop": 0.05, "mask_time_prob": 0.2}))
    save_pretrained(origin, tmp_path / "origin")
    conf = {"pretrained": str(tmp_path / "origin"), "config": {"layer_drop": 0.0, "mask_time_prob": 0.0}}
    out = adapt("adapted", encoder_conf={**conf, **CONTEXTS}, max_epoch=1)
    encoder = XlsrEncoder.from_pretrained(str(out / "encoder"))
    assert encoder.config == origin.config
    before = origin.state_dict()
    moved = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    # A pretrained feature extractor is frozen unless freeze_feature_extractor says false.
    assert not [name for name in moved if name.startswith("feature_extractor.")]


class Killed(BaseException):
    """Stands for kill -9."""


def test_killed_within_an_epoch_continues_to_the_same_weights(
    adapt: Adapt, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adapt("whole")
    step, seen = Updater.step, []

    def dying(self: Updater, sub: Any) -> bool:
        seen.append(1)
        if len(seen) == 3:
            raise Killed
        return step(self, sub)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "step", dying)
        with pytest.raises(Killed):
            adapt("killed", checkpoint_seconds=0.0)
    again = adapt("killed", checkpoint_seconds=0.0)
    assert largest_difference(whole / "latest.pth", again / "latest.pth") == 0
    ours, theirs = (torch.load(d / "checkpoint.pth", weights_only=True) for d in (again, whole))
    assert ours["training_state"] == theirs["training_state"]
    assert ours["training_state"]["monitor"]["accuracy"] > 0


def test_it_does_not_go_on_with_other_targets(adapt: Adapt) -> None:
    conf = settings()["objective_conf"]
    adapt("one", max_epoch=1)
    with pytest.raises(UserError, match=r"other targets: objective_conf .*'seed': 0.*'seed': 7"):
        adapt("one", objective_conf={**conf, "seed": 7})
    with pytest.raises(UserError, match=r"checkpoint\.pth is of another model .*objective\.head"):
        adapt("one", objective_conf={**conf, "codebook_size": 8})
    adapt("one")


def test_a_collapsed_training_stops_and_says_why(adapt: Adapt) -> None:
    with pytest.raises(UserError, match=r"collapsed: the encoder's output hardly changes.*update 2\)"):
        adapt("collapsed", monitor_conf={"after_updates": 2, "min_feature_std": 100.0})


def with_quantiser(directory: Path) -> Path:
    """A small export with the tensors that pretraining has besides."""
    encoder = XlsrEncoder(XlsrConfig.from_dict(SMALL))
    save_pretrained(encoder, directory)
    torch.manual_seed(0)
    shapes = [(1, 16, 6), (16, 16), (16,), (10, 12), (10,), (10, 32), (10,)]
    heads = {name: torch.randn(shape) for name, shape in zip(NAMES, shapes, strict=True)}
    path = directory / "model.safetensors"
    save_file({**load_file(path), **heads}, path, metadata={"format": "pt"})
    return directory


def test_the_contrastive_objective_goes_on_with_a_quantiser(adapt: Adapt, tmp_path: Path) -> None:
    origin = str(with_quantiser(tmp_path / "origin"))
    out = adapt(
        "contrastive",
        objective="contrastive",
        objective_conf={"negatives": 10},
        encoder_conf={"pretrained": origin, **CONTEXTS},
        monitor_conf={"after_updates": 0},
    )
    stats = torch.load(out / "checkpoint.pth", weights_only=True)["reporter"]
    assert 0 < stats[2]["train"]["loss_diversity"] < 1
    XlsrEncoder.from_pretrained(str(out / "encoder"))
    with pytest.raises(UserError, match=r"learns.*has no part of it|no part of it.*best_rq"):
        bare = str(out / "encoder")
        conf = {"pretrained": bare, **CONTEXTS}
        adapt("bare", objective="contrastive", objective_conf={}, encoder_conf=conf)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective_conf": {"codebook": 2}},
            r"objective_conf: unknown key codebook .*mean codebooks\?\); known",
        ),
        ({"mask_conf": {"fill": "zeros"}}, "mask_conf.fill is 'zeros'"),
        ({"mask_conf": {"length": 5000}}, r"length is 5000 frames \(100 s\).*nothing would be masked"),
        ({"monitor_conf": {"after": 2}}, "monitor_conf: unknown key after"),
        ({"best_model_criterion": [["valid", "ter", "min"]]}, "valid has no ter; it has loss"),
        ({"best_model_criterion": [["valid", "loss_diversity", "min"]]}, "valid has no loss_diversity"),
        ({"objective": "contrastive", "objective_conf": {}}, "name it in encoder_conf.pretrained"),
    ],
)
def test_mistakes_are_named(adapt: Adapt, changes: dict[str, Any], message: str) -> None:
    objective = changes.pop("objective", "best_rq")
    with pytest.raises(UserError, match=message):
        adapt("wrong", objective=objective, **changes)


@pytest.mark.parametrize("fill", ["embedding", "noise"])
def test_every_parameter_has_a_gradient_under_ddp(tmp_path: Path, fill: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        encoder = XlsrEspnetEncoder(config={**SMALL, "layer_drop": 0.5}, **CONTEXTS)
        objective = BestRq(encoder.xlsr, BestRqConfig(codebook_size=16, num_mels=20))
        model = DistributedDataParallel(SslModel(encoder, objective, MaskConfig(fill=fill), MonitorConfig()))
        # The second utterance is shorter than a span: nothing of it is masked.
        for lens in (torch.tensor([8000, 3000]), torch.tensor([3000, 3000])):
            loss, _, weight = model(torch.randn(2, 8000), lens)
            loss.backward()
            assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
            assert torch.isfinite(loss) and weight >= 1
            model.zero_grad()
        assert model.module.encoder.batches_seen == 2
        assert isinstance(model.module.encoder.current_context(), AttentionContext)
    finally:
        distributed.destroy_process_group()
