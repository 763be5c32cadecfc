"""Pretraining: labels lie where the phonemes are, a run learns, and a killed run goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from xlsrt.context import AttentionContext
from xlsrt.cpu import FRAMES
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain.data import Inventory, SyntheticBatches, batches, collate, frame_labels
from xlsrt.pretrain.loop import Pretraining, PretrainOptions, phone_error_rate
from xlsrt.pretrain.model import IGNORED, PhonemeBatch, PhonemeModel


@dataclass(frozen=True)
class Made:
    wav: np.ndarray
    phonemes: list[tuple[str, float, float]]


TONES = {"a": 300.0, "b": 900.0, "c": 2500.0}


def make_tones(seed: int) -> Made:
    """Three kinds of "phonemes" told apart by their pitch, 100 ms each, pauses between."""
    rng = np.random.default_rng(seed)
    wav, spans, now = [np.zeros(1600)], [], 0.1
    for symbol in rng.choice(list(TONES), size=rng.integers(3, 7)):
        wav += [0.3 * np.sin(2 * np.pi * TONES[symbol] * np.arange(1600) / 16000), np.zeros(800)]
        spans.append((str(symbol), now, now + 0.1))
        now += 0.15
    return Made(np.concatenate(wav).astype(np.float32), spans)


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(sorted(TONES))


def new_run(directory: Path, inventory: Inventory, **options: object) -> Pretraining:
    torch.manual_seed(0)
    settings = PretrainOptions(**{"batch_seconds": 6.0, "warmup": 10, "amp": False, **options})  # type: ignore[arg-type]
    model = PhonemeModel(XlsrEncoder(XlsrConfig.preset("tiny")), len(inventory))
    dataset = SyntheticBatches(make_tones, inventory, settings.batch_seconds, first_seed=0)
    valid = [collate([make_tones(10**6 + i) for i in range(8)], inventory)]
    return Pretraining(model, dataset, valid, settings, directory, num_workers=0, save_every=50)


def test_frame_labels_are_those_at_the_frame_centres(inventory: Inventory) -> None:
    utterance = Made(np.zeros(16000, dtype=np.float32), [("b", 0.1, 0.3), ("c", 0.3, 0.35)])
    labels = frame_labels(utterance, inventory)
    assert len(labels) == 49
    centres = (np.arange(49) * 320 + 200) / 16000
    expected = np.where(
        (centres >= 0.1) & (centres < 0.3), 2, np.where((centres >= 0.3) & (centres < 0.35), 3, 0)
    )
    np.testing.assert_array_equal(labels, expected)


def test_collate_pads_and_ignores_the_padding(inventory: Inventory) -> None:
    batch = collate([make_tones(0), make_tones(1)], inventory)
    for row in range(2):
        frames = (int(batch.wav_lens[row]) - 400) // 320 + 1
        assert (batch.frames[row, :frames] != IGNORED).all()
        assert (batch.frames[row, frames:] == IGNORED).all()


def test_unknown_phonemes_share_one_id(inventory: Inventory) -> None:
    assert inventory.id("ʘ") == len(inventory)
    assert Inventory.collect(make_tones, range(30)).symbols.__len__() == 3


def test_it_learns_and_goes_on_where_it_was_killed(tmp_path: Path, inventory: Inventory) -> None:
    run = new_run(tmp_path, inventory, updates=100)
    before = phone_error_rate(run.model, run.valid, AttentionContext.full())
    run.run()
    after = phone_error_rate(run.model, run.valid, AttentionContext.full())
    assert after < 0.5 * before

    again = new_run(tmp_path, inventory, updates=100)
    assert again.resume() and again.update == 100
    assert phone_error_rate(again.model, again.valid, AttentionContext.full()) == after

    with pytest.raises(UserError, match="other options"):
        new_run(tmp_path, inventory, updates=60).resume()
    again.begins = "the encoder elsewhere"
    with pytest.raises(
        UserError, match="began with , and this is the encoder elsewhere: give the same --init"
    ):
        again.resume()


def learn_as_rank(rank: int, directory: Path, inventory: Inventory) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{directory}/store", rank=rank, world_size=2
    )
    run = new_run(directory / "run", inventory, updates=3)
    heard: list[int] = []

    def make(seed: int) -> Made:
        heard.append(seed)
        return make_tones(seed)

    run.dataset = SyntheticBatches(make, inventory, batch_seconds=6.0, first_seed=0, rank=rank, ranks=2)
    torch.manual_seed(rank)
    gradients = []
    for parameter in run.model.parameters():
        parameter.grad = torch.randn_like(parameter)
        gradients.append(parameter.grad.clone())
    run._average_gradients()
    averaged = [parameter.grad for parameter in run.model.parameters()]
    run.directory.mkdir(exist_ok=True)
    run.run()
    result = {"seeds": heard, "model": run.model.state_dict(), "drawn": gradients, "averaged": averaged}
    torch.save(result, directory / f"rank{rank}.pth")


def test_one_rank_of_two_hears_half_and_both_learn_the_same(tmp_path: Path, inventory: Inventory) -> None:
    start = multiprocessing.get_context("fork").Process
    ranks = [start(target=learn_as_rank, args=(rank, tmp_path, inventory)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        assert process.exitcode == 0
    first, second = (torch.load(tmp_path / f"rank{rank}.pth", weights_only=True) for rank in range(2))
    assert first["seeds"] == list(range(0, 2 * len(first["seeds"]), 2))
    assert second["seeds"] == list(range(1, 2 * len(second["seeds"]), 2))
    for drawn, other, mean in zip(first["drawn"], second["drawn"], first["averaged"], strict=True):
        torch.testing.assert_close(mean, (drawn + other) / 2)
    for name, weight in first["model"].items():
        assert torch.equal(weight, second["model"][name]), name
    before = new_run(tmp_path, inventory).model.state_dict()
    assert any(not torch.equal(weight, before[name]) for name, weight in first["model"].items())
    assert (tmp_path / "run/checkpoint.pth").is_file()


class Dies(SyntheticBatches):
    """A speech maker that is killed in its third batch."""

    def __iter__(self) -> Iterator[PhonemeBatch]:
        for number, batch in enumerate(super().__iter__()):
            if number == 2 and self.first_seed == 0:
                os.kill(os.getpid(), signal.SIGSEGV)
            yield batch


def test_a_speech_maker_that_dies_is_replaced_between_two_steps(
    tmp_path: Path, inventory: Inventory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, inventory, updates=6)
    run.dataset = Dies(make_tones, inventory, batch_seconds=6.0, first_seed=0)
    run.num_workers, found = 1, signal.getsignal(signal.SIGCHLD)

    heard: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        """Torch leaves one there that raises, once any loader of this process had workers."""
        heard.append(number)

    for before in (found, interrupt):
        signal.signal(signal.SIGCHLD, before)
        try:
            run.update = run.lost_workers = run.dataset.first_seed = 0
            run.run()
            assert signal.getsignal(signal.SIGCHLD) == before, "nothing is interrupted when a process dies"
        finally:
            signal.signal(signal.SIGCHLD, found)
        assert run.update == 6 and run.lost_workers == 1
        assert not heard
        assert "a speech-making process died" in capsys.readouterr().out


class DiesAlways(SyntheticBatches):
    def __iter__(self) -> Iterator[PhonemeBatch]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()


def test_speech_makers_that_only_die_end_the_training(tmp_path: Path, inventory: Inventory) -> None:
    run = new_run(tmp_path, inventory, updates=6)
    run.dataset = DiesAlways(make_tones, inventory, batch_seconds=6.0, first_seed=0)
    run.num_workers = 1
    with pytest.raises(
        UserError, match=r"11 speech-making processes died one after the other .*--num_workers 0"
    ):
        run.run()


def refuse(seed: int) -> Made:
    raise RuntimeError(f"no speech for seed {seed}")


def test_an_error_of_a_speech_maker_is_not_taken_for_its_death(inventory: Inventory) -> None:
    made = batches(SyntheticBatches(refuse, inventory, batch_seconds=6.0, first_seed=0), num_workers=1)
    with pytest.raises(RuntimeError, match="no speech for seed 0"):
        next(made)


def test_batches_have_few_shapes(inventory: Inventory) -> None:
    made = iter(SyntheticBatches(make_tones, inventory, batch_seconds=20.0, first_seed=0))
    shapes = set()
    for _ in range(30):
        batch = next(made)
        frames = batch.frames.shape[1]
        assert frames % FRAMES == 0 and batch.wav.shape[1] == (frames - 1) * 320 + 400
        assert len(batch.wav) == int(20.0 * 16000 / batch.wav.shape[1])
        shapes.add(tuple(batch.wav.shape))
    assert 1 < len(shapes) < 4


def test_any_length_is_padded_to_the_shape_of_its_group(inventory: Inventory) -> None:
    """Also one that is some samples longer than the last frame of its group begins."""
    for samples in range(10_000, 11_000, 7):
        utterance = Made(np.zeros(samples, dtype=np.float32), [("a", 0.1, 0.2)])
        batch = next(iter(SyntheticBatches(lambda seed, one=utterance: one, inventory, 3.0, first_seed=0)))
        frames = batch.frames.shape[1]
        assert frames % FRAMES == 0 and batch.wav.shape[1] == (frames - 1) * 320 + 400 >= samples
