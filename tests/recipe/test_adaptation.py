"""Adaptation before training stage 1: which audio, which encoder, what follows from a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.adapt import (
    UnlabelledData,
    data_steps,
    find_sources,
    make_adaptation,
    split,
    unlabelled_data,
)
from xlsrt.recipe.training import identity
from xlsrt.tree import write_tree

ROOT = Path(__file__).resolve().parents[2]
ADAPT = [str(ROOT / "conf/adapt.yaml")]
SMALL = [str(ROOT / "conf/train_small.yaml")]


@pytest.fixture
def data(tmp_path: Path) -> UnlabelledData:
    (tmp_path / "data/train").mkdir(parents=True)
    for name in ("wav.scp", "utt2spk"):
        (tmp_path / "data/train" / name).write_text("a x\n", encoding="utf-8")
    return unlabelled_data(find_sources("train", [tmp_path / "data"]), tmp_path / "dump")


def test_sets_and_folders_are_found(tmp_path: Path, data: UnlabelledData) -> None:
    folder = tmp_path / "radio"
    folder.mkdir()
    (folder / "a.wav").touch()
    found = find_sources(f"train, {folder}", [tmp_path / "gone", tmp_path / "data"])
    assert found == (tmp_path / "data/train", folder)
    both = unlabelled_data(found, tmp_path / "dump")
    assert both.dump == tmp_path / "dump/raw/unlabelled_train_radio"
    assert both.tables == tmp_path / "dump/unlabelled/train_radio"
    with pytest.raises(UserError, match=r"nowhere is neither a set .* nor a folder"):
        find_sources("nowhere", [tmp_path / "data"])


def test_every_folder_gives_a_name_that_files_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / f"a-rather-long-name-{number:02d}" for number in range(30)]
    for folder in folders:
        (folder / "inside").mkdir(parents=True)
        (folder / "inside/a.wav").touch()
    monkeypatch.chdir(folders[0] / "inside")
    for name, called in ((".", "inside"), ("..", folders[0].name)):
        one = unlabelled_data(find_sources(name, []), tmp_path / "dump")
        assert one.tables == tmp_path / "dump/unlabelled" / called
    many = [unlabelled_data(tuple(folders[:count]), tmp_path).dump for count in (29, 30)]
    assert many[0] != many[1]
    many[1].mkdir(parents=True)


def test_audio_is_not_heard_twice(tmp_path: Path) -> None:
    (tmp_path / "all/part").mkdir(parents=True)
    (tmp_path / "all/part/a.wav").touch()
    (tmp_path / "link").symlink_to(tmp_path / "all")
    for others in ("all/part all", "all link", "link all/part"):
        names = " ".join(str(tmp_path / name) for name in others.split())
        with pytest.raises(UserError, match=r"--adapt_sets .*: .* lies in .* and would be heard twice"):
            find_sources(names, [])
    (tmp_path / "all/wav.scp").write_text("other /x.wav\n")  # it names its audio itself
    find_sources(f"{tmp_path}/all {tmp_path}/all/part", [])


def test_an_objective_that_is_left_empty_is_the_default(tmp_path: Path, data: UnlabelledData) -> None:
    write_tree(tmp_path / "last.yaml", {"objective": None})
    plan = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data, last_layers=[str(tmp_path / "last.yaml")])
    assert plan.program == ("xlsrt.bin.pretrain", "--objective", "best_rq")


def test_changed_audio_is_looked_through_again(tmp_path: Path, data: UnlabelledData) -> None:
    folder = tmp_path / "radio"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"1")
    both = unlabelled_data((*data.sources, folder), tmp_path / "dump")
    before = data_steps(both, 1, False)[0].fingerprint()
    assert before == data_steps(both, 8, False)[0].fingerprint()
    (folder / "b.wav").write_bytes(b"1")
    after = data_steps(both, 1, False)[0].fingerprint()
    assert after != before
    (tmp_path / "data/train/wav.scp").write_text("a y\n", encoding="utf-8")
    assert data_steps(both, 1, False)[0].fingerprint() not in (before, after)


def test_changed_audio_of_a_set_is_heard_again(tmp_path: Path, data: UnlabelledData) -> None:
    """Under the same path, which is all that its tables say; cut and formatted too."""
    (tmp_path / "a.wav").write_bytes(b"1")
    data.tables.mkdir(parents=True)
    for folder in (*data.sources, data.tables):
        (folder / "wav.scp").write_text(f"a {tmp_path}/a.wav\n", encoding="utf-8")
        (folder / "utt2spk").write_text("a a\n", encoding="utf-8")
    (data.tables / "segments").write_text("a a 0 1\n", encoding="utf-8")
    before = [step.fingerprint() for step in data_steps(data, 1, False)]
    (tmp_path / "a.wav").write_bytes(b"12")
    after = [step.fingerprint() for step in data_steps(data, 1, False)]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_the_audio_format_of_the_recipe_holds_here_too(tmp_path: Path, data: UnlabelledData) -> None:
    command = data_steps(data, 1, False, "flac.ark")[1].command
    assert command[command.index("--audio_format") + 1] == "flac.ark"
    data.dump.mkdir(parents=True)
    for kind in ("sound", "kaldi_ark"):
        settings = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data).settings
        for part in ("train", "valid"):
            audio = settings[f"{part}_data_path_and_name_and_type"]
            assert audio == [[str(data.dump / "wav.scp"), "speech", kind]]
        (data.dump / "audio_format").write_text("flac.ark\n")  # as format_data does


def test_a_few_pieces_are_for_validation(data: UnlabelledData) -> None:
    data.dump.mkdir(parents=True)
    names = [f"u{n:04d}" for n in range(1000)]
    (data.dump / "utt2num_samples").write_text("".join(f"{name} 16000\n" for name in names))
    split(data)
    parts = {part: path.read_text().split("\n")[:-1] for part, path in data.splits.items()}
    assert len(parts["valid"]) == 20
    assert sorted([*parts["train"], *parts["valid"]]) == [f"{name} 16000" for name in names]
    # Of few pieces as many as ranks may ask for: ESPnet wants one for each in a batch.
    for pieces, wanted in ((99, 8), (6, 3), (2, 1)):
        (data.dump / "utt2num_samples").write_text("".join(f"{name} 16000\n" for name in names[:pieces]))
        split(data)
        assert len(data.splits["valid"].read_text().splitlines()) == wanted
    (data.dump / "utt2num_samples").write_text("u 16000\n")
    with pytest.raises(UserError, match="at least 2 pieces"):
        split(data)


def test_the_encoder_is_the_one_of_training(
    tmp_path: Path, data: UnlabelledData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data)
    encoder = plan.settings["encoder_conf"]
    assert encoder["pretrained"] == str(ROOT / "egs/mini/pretrained")
    assert str(ROOT / "egs/mini/pretrained/model.safetensors") in plan.pretrained_files
    assert "preset" not in encoder["config"] and encoder["config"]["freeze_feature_extractor"] is False
    assert plan.settings["train_shape_file"] == [str(data.splits["train"])]
    assert plan.program == ("xlsrt.bin.pretrain", "--objective", "best_rq")
    given = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data, "WAV2VEC2_XLSR53").settings
    assert given["encoder_conf"]["pretrained"] == "WAV2VEC2_XLSR53"
    random = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data, "none").settings["encoder_conf"]
    assert random["pretrained"] is None
    assert random["config"]["preset"] == "small" and random["config"]["hidden_dropout"] == 0.0


def test_the_normalisation_of_training_holds_here_too(tmp_path: Path, data: UnlabelledData) -> None:
    train = tmp_path / "train.yaml"
    conf = {"pretrained": "x.pt", "config": {"input_norm": "none", "hidden_dropout": 0.3}}
    write_tree(train, {"encoder_conf": conf})
    config = make_adaptation(tmp_path / "exp", ADAPT, [str(train)], data).settings["encoder_conf"]["config"]
    assert config["input_norm"] == "none"
    assert config["hidden_dropout"] == 0.0


def test_later_layers_and_speed_settings(tmp_path: Path, data: UnlabelledData) -> None:
    last = tmp_path / "last.yaml"
    write_tree(last, {"max_epoch": 1, "num_workers": 0})
    one = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data, last_layers=[str(last)], seed=7)
    assert (one.settings["max_epoch"], one.settings["seed"]) == (1, 7)
    write_tree(last, {"max_epoch": 1, "num_workers": 3})
    other = make_adaptation(tmp_path / "exp", ADAPT, SMALL, data, last_layers=[str(last)], seed=7)
    assert identity(one.settings) == identity(other.settings)
    write_tree(last, {"train_shape_file": ["mine"]})
    with pytest.raises(UserError, match="train_shape_file is set by run"):
        make_adaptation(tmp_path / "exp", [*ADAPT, str(last)], SMALL, data)
