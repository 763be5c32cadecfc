"""The parts of a training one by one: groups, schedules, augmentation, files."""

from __future__ import annotations

import datetime
import itertools
import math
import re
from pathlib import Path

import pytest
import torch
import torchaudio
import yaml
from torch import nn

from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.espnet_task.augment import AugmentConfig, WaveAugment
from xlsrt.espnet_task.checkpoint import plain_stats, reporter_stats
from xlsrt.espnet_task.encoder import contexts_of
from xlsrt.espnet_task.inputs import read_token_list
from xlsrt.espnet_task.midepoch import EpochPosition, read_position
from xlsrt.espnet_task.optim import parameter_groups
from xlsrt.espnet_task.retention import rank_epochs, tidy, write_averages
from xlsrt.espnet_task.schedulers import WarmupHoldDecay
from xlsrt.recipe.average import average_files, average_states
from xlsrt.tensor_files import read_checkpoint
from xlsrt.transducer.training_conf import read_encoder_conf


class Miniature(nn.Module):
    """The names of a model, without ESPnet."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.xlsr = XlsrEncoder(XlsrConfig.preset("tiny"))
        self.head = nn.Linear(96, 5)


def test_groups_cover_every_parameter_once_at_the_right_rate() -> None:
    model = Miniature()
    groups = parameter_groups(model, lr=1.0, weight_decay=0.1, encoder_lr_factor=0.5, layer_decay=0.8)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in model.parameters())
    rate = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    xlsr = model.encoder.xlsr
    assert rate[id(model.head.weight)] == (1.0, 0.1) and rate[id(model.head.bias)] == (1.0, 0.0)
    assert rate[id(xlsr.encoder.layer_norm.weight)] == (0.5, 0.0)
    assert rate[id(xlsr.encoder.layers[1].attention.q_proj.weight)] == (0.5, 0.1)
    assert rate[id(xlsr.encoder.layers[0].attention.q_proj.weight)] == (pytest.approx(0.4), 0.1)
    assert rate[id(xlsr.feature_projection.projection.weight)] == (pytest.approx(0.32), 0.1)
    assert rate[id(xlsr.masked_spec_embed)][1] == 0.0
    assert groups[0]["name"] == "head"
    again = parameter_groups(model, lr=1.0, weight_decay=0.1, encoder_lr_factor=0.5, layer_decay=0.8)
    assert [group["name"] for group in again] == [group["name"] for group in groups]


def test_frozen_parameters_are_left_out() -> None:
    model = Miniature()
    model.encoder.xlsr.feature_extractor.requires_grad_(False)
    groups = parameter_groups(model, lr=1.0, weight_decay=0.0)
    listed = {id(parameter) for group in groups for parameter in group["params"]}
    assert not listed & {id(p) for p in model.encoder.xlsr.feature_extractor.parameters()}
    model.requires_grad_(False)
    with pytest.raises(UserError, match="freeze_param"):
        parameter_groups(model, lr=1.0, weight_decay=0.0)


@pytest.mark.parametrize(("decay", "middle"), [("exponential", 0.1), ("linear", 0.505), ("cosine", 0.505)])
def test_schedule_rises_holds_and_falls(decay: str, middle: float) -> None:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (2.0, 1.0)])
    schedule = WarmupHoldDecay(optimizer, warmup=0.1, hold=20, decay=decay, init_scale=0.1, final_scale=0.01)
    schedule.set_total_updates(100)
    scales = []
    for _ in range(130):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == pytest.approx(2 * second)
        scales.append(second)
        schedule.step()
    assert scales[0] == pytest.approx(0.1) and scales[5] == pytest.approx(0.55)
    assert scales[10:31] == [1.0] * 21
    assert scales[65] == pytest.approx(middle) and scales[100:] == [pytest.approx(0.01)] * 30
    assert all(a >= b for a, b in itertools.pairwise(scales[30:]))


def test_schedule_resumes_on_its_course() -> None:
    def build() -> tuple[torch.optim.Optimizer, WarmupHoldDecay]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = WarmupHoldDecay(optimizer, warmup=5, hold=5)
        schedule.set_total_updates(40)
        return optimizer, schedule

    one, first = build()
    for _ in range(17):
        first.step()
    other, second = build()
    other.load_state_dict(one.state_dict())
    second.load_state_dict(first.state_dict())
    first.step()
    second.step()
    assert one.param_groups[0]["lr"] == other.param_groups[0]["lr"] != 1.0


FULL = AugmentConfig(
    speed=(0.9, 1.1), gain_db=6, noise_prob=1.0, noise_snr_db=(20.0, 20.0), eq_prob=1.0, band_limit_prob=1.0
)


def test_augmentation_is_a_function_of_seed_step_and_rank() -> None:
    wav, lens = torch.randn(3, 9000), torch.tensor([9000, 5000, 400])
    augment = WaveAugment(FULL, seed=1)
    one, one_lens = augment(wav, lens, step=7, rank=0)
    torch.rand(5)
    two, two_lens = WaveAugment(FULL, seed=1)(wav, lens, step=7, rank=0)
    assert torch.equal(one, two) and torch.equal(one_lens, two_lens)
    for other in ({"step": 8, "rank": 0}, {"step": 7, "rank": 1}):
        changed, _ = augment(wav, lens, **other)
        assert changed.shape != one.shape or not torch.equal(changed, one)
    assert all(bool((row[n:] == 0).all()) for row, n in zip(one, one_lens.tolist(), strict=True))
    assert bool(torch.isfinite(one).all()) and int(one_lens.max()) == one.size(1)


def test_augmentation_can_be_off_and_survives_silence() -> None:
    wav, lens = torch.zeros(2, 1000), torch.tensor([1000, 800])
    same, same_lens = WaveAugment(AugmentConfig())(wav + 0.5 * (torch.arange(1000) < 800), lens, step=0)
    assert torch.equal(same, wav + 0.5 * (torch.arange(1000) < 800)) and torch.equal(same_lens, lens)
    silent, _ = WaveAugment(FULL)(wav, lens, step=0)
    assert bool(torch.isfinite(silent).all())


def test_ranks_share_the_speed_and_nothing_else() -> None:
    wav, lens = torch.randn(2, 16000), torch.tensor([16000, 16000])
    augment = WaveAugment(AugmentConfig(speed=(0.8, 0.9, 1.1, 1.2), gain_db=6))
    lengths = set()
    for step in range(12):
        (one, _), (other, _) = (augment(wav, lens, step=step, rank=rank) for rank in (0, 1))
        assert one.shape == other.shape and not torch.equal(one, other)
        lengths.add(one.size(1))
    assert len(lengths) == 4


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.0, 1.05, 1.1])
@pytest.mark.parametrize("samples", [401, 9_000, 16_000, 33_333])
def test_speed_is_that_of_torchaudio(factor: float, samples: int) -> None:
    wav, lens = torch.randn(2, samples, dtype=torch.float64), torch.tensor([samples, samples // 2])
    with torch.autocast("cpu", torch.bfloat16):  # as in training: no word of it may reach the audio
        faster, fewer = WaveAugment(AugmentConfig(speed=(factor,)))(wav, lens, step=0)
        single, _ = WaveAugment(AugmentConfig(speed=(factor,)))(wav.float(), lens, step=0)
    torch.testing.assert_close(single.double(), faster, rtol=0, atol=1e-5)
    assert fewer.tolist() == [math.ceil(n * 100 / round(factor * 100)) for n in lens.tolist()]
    alone, _ = torchaudio.functional.speed(wav[0], 16000, factor)
    assert faster.size(1) == len(alone)
    torch.testing.assert_close(faster[0], alone, rtol=0, atol=1e-9)


def test_noise_has_the_wanted_level_and_gain_the_wanted_range() -> None:
    time = torch.arange(64000) / 16000
    wav, lens = torch.sin(2 * torch.pi * 440 * time).repeat(4, 1), torch.full((4,), 64000)
    noisy, _ = WaveAugment(AugmentConfig(noise_prob=1.0, noise_snr_db=(15.0, 15.0)))(wav, lens, step=3)
    snr = 10 * torch.log10(wav.pow(2).mean(1) / (noisy - wav).pow(2).mean(1))
    assert torch.allclose(snr, torch.full((4,), 15.0), atol=0.1)
    louder, _ = WaveAugment(AugmentConfig(gain_db=6))(wav, lens, step=3)
    gains = 10 * torch.log10(louder.pow(2).mean(1) / wav.pow(2).mean(1))
    assert bool((gains.abs() <= 6.01).all()) and gains.std() > 0.1


def test_band_limit_removes_what_lies_beyond() -> None:
    config = AugmentConfig(band_limit_prob=1.0, low_edge_hz=(500.0, 500.0), high_edge_hz=(3000.0, 3000.0))
    time = torch.arange(32000) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * hz * time) for hz in (100, 1000, 5000)])
    shaped, _ = WaveAugment(config)(tones, torch.full((3,), 32000), step=0)
    kept = 10 * torch.log10(shaped.pow(2).mean(1) / tones.pow(2).mean(1))
    assert kept[0] < -20 and abs(kept[1]) < 1 and kept[2] < -30


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"gain": 3}, "gain"),
        ({"noise_prob": 2}, "noise_prob"),
        ({"speed": [3.0]}, "speed"),
        ({"eq_prob": -1}, "eq"),
        ({"speed": 0.9}, r"speed is 0\.9; it must be a list"),
        ({"noise_snr_db": 10}, "noise_snr_db is 10; it must be a list"),
        ({"gain_db": "much"}, "gain_db is 'much'; it must be a finite number"),
        ({"low_edge_hz": [60, None]}, "low_edge_hz is .*; it must be a list of 2 finite numbers"),
    ],
)
def test_wrong_augmentation_is_refused_by_name(values: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        AugmentConfig.from_dict(values)


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        (3, "encoder_conf is 3; it must be a mapping"),
        (
            {"config": "tiny"},
            r"encoder_conf\.config is 'tiny'; it must be a mapping such as",
        ),
        ({"pretrained": 53}, r"encoder_conf\.pretrained is 53; it must be text"),
        (
            {"train_contexts": {}},
            r"encoder_conf: unknown key train_contexts \(did you mean train_context",
        ),
    ],
)
def test_wrong_encoder_settings_are_refused_by_name(conf: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_encoder_conf(conf)
    assert read_encoder_conf(None) == {}


def test_contexts_that_are_none_are_refused_by_name() -> None:
    for given in ("16", "0", "[]", "''"):
        with pytest.raises(UserError, match=rf"training context is {re.escape(given)}; it must be a mapping"):
            contexts_of(yaml.safe_load(given), None)
    for given in ("'all'", "[]"):
        with pytest.raises(UserError, match=rf"context is {re.escape(given)}; it must be a mapping such as"):
            contexts_of(None, yaml.safe_load(given))


def test_augmentation_reads_numbers_as_yaml_writes_them() -> None:
    config = AugmentConfig.from_dict({"gain_db": "6e0", "noise_prob": "3e-1", "speed": [1, "9e-1"]})
    assert (config.gain_db, config.noise_prob, config.speed) == (6.0, 0.3, (1.0, 0.9))


def test_another_number_of_ranks_begins_the_epoch_again_where_batches_are_others() -> None:
    state = {"torch": torch.zeros(1)}
    saved = EpochPosition(3, 10, 4, {}, 4, 40, 1.0, [state, state], 2).to_dict()
    assert read_position(saved, 10, 2) == EpochPosition(**saved)
    other = read_position(saved, 10, 1)
    assert other is not None and other.batches_done == 4 and other.random == []
    assert read_position(saved, 7, 1) is None
    with pytest.raises(UserError, match="which has 7 batches now"):
        read_position(saved, 7, 2)
    # As it was written before every rank had its own.
    old = {**saved, "random": state}
    del old["ranks"]
    assert len(read_position(old, 10, 3).random) == 3


def test_average_is_the_mean_and_counters_are_the_last() -> None:
    states = [{"w": torch.full((2,), float(n)), "steps": torch.tensor(n)} for n in (1, 2, 6)]
    averaged = average_states(states)
    assert torch.equal(averaged["w"], torch.full((2,), 3.0)) and int(averaged["steps"]) == 6
    with pytest.raises(UserError, match="other shapes for w"):
        average_states([states[0], {"w": torch.zeros(3), "steps": torch.tensor(0)}])
    with pytest.raises(UserError, match="other parameters"):
        average_states([states[0], {"v": torch.zeros(2)}])


def test_average_of_a_damaged_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "1epoch.pth").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UserError, match=r"1epoch\.pth"):
        average_files([tmp_path / "1epoch.pth"], tmp_path / "ave.pth")
    assert not (tmp_path / "ave.pth").exists()


def stats_of(figures: list[tuple[float, float]]) -> dict[int, object]:
    return {
        epoch: {"train": {}, "valid": {"ter": ter, "loss": loss}}
        for epoch, (ter, loss) in enumerate(figures, 1)
    }


def test_ties_on_the_plateau_go_to_the_lower_loss_then_the_later_epoch() -> None:
    stats = stats_of([(1.0, 5.0), (1.0, 3.0), (1.0, 3.0), (1.0, 4.0), (float("nan"), 1.0)])
    assert rank_epochs(stats, ("valid", "ter", "min")) == [3, 2, 4, 1, 5]
    assert rank_epochs(stats, ("valid", "loss", "max"))[0] == 1
    with pytest.raises(UserError, match="min or max"):
        rank_epochs(stats, ("valid", "ter", "low"))


def test_tidy_keeps_the_best_and_the_last(tmp_path: Path) -> None:
    stats = stats_of([(0.5, 1.0), (0.2, 1.0), (0.9, 1.0), (0.3, 1.0), (0.8, 1.0)])
    for epoch in stats:
        torch.save({"w": torch.tensor([float(epoch)])}, tmp_path / f"{epoch}epoch.pth")
    criteria = [("valid", "ter", "min")]
    improved = tidy(tmp_path, stats, criteria, keep_best=2, keep_last=1)
    assert improved == []
    assert sorted(path.name for path in tmp_path.glob("*epoch.pth")) == [
        "2epoch.pth",
        "4epoch.pth",
        "5epoch.pth",
    ]
    assert (tmp_path / "valid.ter.best.pth").resolve().name == "2epoch.pth"
    write_averages(tmp_path, stats, criteria, keep_best=2, keep_last=1)
    assert float(torch.load(tmp_path / "valid.ter.ave.pth", weights_only=True)["w"]) == 3.0


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (marker,))

    torch.save({"model": Evil()}, path)
    with pytest.raises(UserError, match=r"evil\.pth"):
        read_checkpoint(path)
    assert not marker.exists()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"evil\.pth .*damaged.*delete it to start without it"):
        read_checkpoint(path)


def test_reporter_figures_survive_the_checkpoint() -> None:
    stats = {1: {"train": {"loss": 2.5, "time": datetime.timedelta(seconds=3.5), "total_count": 7}}}
    assert reporter_stats(plain_stats(stats)) == stats


@pytest.mark.parametrize(
    "tokens", [["a", "b"], ["<blank>", "a", "<sos/eos>"], ["<blank>", "<unk>", "a", "a", "<sos/eos>"]]
)
def test_token_lists_are_checked(tmp_path: Path, tokens: list[str]) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("\n".join(tokens) + "\n")
    with pytest.raises(UserError, match=r"tokens\.txt"):
        read_token_list(str(path))
    with pytest.raises(UserError, match="stage 3"):
        read_token_list(str(tmp_path / "absent.txt"))
