from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.training import MARKER, Corpus, Plan, identity, make_plan
from xlsrt.tree import read_tree, write_tree

ROOT = Path(__file__).resolve().parents[2]
BASE = """
encoder_conf: {config: {preset: tiny, hidden_dropout: 0.2}, augment: {gain_db: 6.0}}
optim_conf: {lr: 1.0, weight_decay: 0.01}
max_epoch: 99
best_model_criterion: [[valid, ter, min]]
"""


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(Path("d/train"), Path("d/dev"), Path("s"), "bpe", Path("t/tokens.txt"), Path("t/bpe.model"))


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "train.yaml"
    path.write_text(BASE, encoding="utf-8")
    return str(path)


def finish(tmp_path: Path, variant: str, **encoder: object) -> Path:
    """An experiment that looks trained to its end."""
    exp = tmp_path / f"exp/asr_x_stage{variant}"
    write_tree(exp / "config.yaml", {"encoder_conf": {"config": {"hidden_size": 96, **encoder}}})
    (exp / "valid.ter.best.pth").write_bytes(b"weights")
    (exp / MARKER).write_text("{}", encoding="utf-8")
    return exp


def plan(tmp_path: Path, config: str, corpus: Corpus, variant: str = "1", **more: object) -> Plan:
    table = load_stages(str(ROOT / "conf/stages.yaml"))
    return make_plan(table, variant, tmp_path / "exp/asr_x", [config], corpus, **more)  # type: ignore[arg-type]


def test_audio_in_archives_is_read_as_such(tmp_path: Path, config: str, corpus: Corpus) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "audio_format").write_text("flac.ark\n")
    found = plan(tmp_path, config, replace(corpus, train_dump=tmp_path / "dump"))
    assert found.settings["train_data_path_and_name_and_type"][0][2] == "kaldi_ark"
    assert found.settings["valid_data_path_and_name_and_type"][0][2] == "sound"


def test_a_balance_of_languages_reads_them(tmp_path: Path, corpus: Corpus) -> None:
    files = corpus.inputs({"language_balance": 1})
    assert corpus.inputs({}) == files
    with pytest.raises(UserError, match=r"d/train/utt2lang: no such file, so the languages cannot be balan"):
        corpus.inputs({"language_balance": 0.5})
    table = tmp_path / "utt2lang"
    table.touch()
    there = replace(corpus, train_dump=tmp_path).inputs({"language_balance": 0.5})
    assert there == [*replace(corpus, train_dump=tmp_path).inputs({}), table]


def test_the_row_is_laid_over_the_configuration(tmp_path: Path, config: str, corpus: Corpus) -> None:
    found = plan(tmp_path, config, corpus, seed=7)
    row = load_stages(str(ROOT / "conf/stages.yaml"))["1"]
    assert found.settings["max_epoch"] == row.epochs
    assert found.settings["optim_conf"] == {"lr": row.lr, "weight_decay": 0.01}
    assert found.settings["seed"] == 7
    assert found.settings["encoder_conf"]["train_context"] == row.train_context
    assert found.settings["encoder_conf"]["augment"] == {"gain_db": 6.0}
    assert found.settings["train_data_path_and_name_and_type"][0] == ["d/train/wav.scp", "speech", "sound"]
    assert found.settings["valid_shape_file"] == ["s/valid/speech_shape", "s/valid/text_shape.bpe"]
    assert found.exp_dir == tmp_path / "exp/asr_x_stage1"
    assert found.init_from is None


def test_no_stage_repeats_the_draws_of_another(tmp_path: Path, config: str, corpus: Corpus) -> None:
    names = ["1", "2b", "3b", "4", "5b"]
    for name in names:
        finish(tmp_path, name)
    for seed in (None, 3):
        seeds = [plan(tmp_path, config, corpus, name, seed=seed).settings["seed"] for name in names]
        assert seeds[0] == (seed or 0)
        assert min(b - a for a, b in itertools.pairwise(seeds)) >= 1000, "an epoch adds 1"
        control = plan(tmp_path, config, corpus, "5e", seed=seed).settings["seed"]
        assert control == seeds[-1], "a control sees what its variant sees"


def test_each_seed_draws_contexts_of_its_own(tmp_path: Path, config: str, corpus: Corpus) -> None:
    finish(tmp_path, "3b")
    finish(tmp_path, "4")

    def context(variant: str, seed: int | None) -> dict[str, object]:
        found = plan(tmp_path, config, corpus, variant, seed=seed).settings["encoder_conf"]["train_context"]
        assert isinstance(found, dict)
        return found

    assert "seed" not in context("4", None) and "seed" not in context("4", 0)
    assert context("4", 3) == {"seed": 3, **context("4", 0)}
    assert context("5b", 3) == context("5b", 0), "nothing is drawn here"


def test_later_layers_win(tmp_path: Path, config: str, corpus: Corpus) -> None:
    last = tmp_path / "last.yaml"
    last.write_text("max_epoch: 1\noptim_conf: {weight_decay: 0.5}", encoding="utf-8")
    found = plan(tmp_path, config, corpus, last_layers=[str(last)])
    assert found.settings["max_epoch"] == 1
    assert found.settings["optim_conf"]["weight_decay"] == 0.5


def test_a_pretrained_encoder_brings_its_own_sizes(tmp_path: Path, config: str, corpus: Corpus) -> None:
    encoder = plan(tmp_path, config, corpus, pretrained="WAV2VEC2_XLSR53").settings["encoder_conf"]
    assert encoder["pretrained"] == "WAV2VEC2_XLSR53"
    assert encoder["config"] == {"hidden_dropout": 0.2}


def test_random_weights_are_not_frozen(tmp_path: Path, config: str, corpus: Corpus) -> None:
    """What the built-in corpus freezes in its pretrained encoder would stay noise."""
    layer = tmp_path / "frozen.yaml"
    layer.write_text(
        "encoder_conf: {config: {freeze_feature_extractor: true, freeze_encoder_updates: 100}}\n"
        "freeze_param: [encoder.xlsr.encoder.layers.0, head.joint]\n",
        encoding="utf-8",
    )
    frozen = plan(tmp_path, config, corpus, last_layers=[str(layer)], pretrained="WAV2VEC2_XLSR53")
    assert frozen.settings["freeze_param"] == ["encoder.xlsr.encoder.layers.0", "head.joint"]
    assert frozen.settings["encoder_conf"]["config"]["freeze_encoder_updates"] == 100 and not frozen.note
    random = plan(tmp_path, config, corpus, last_layers=[str(layer)], pretrained="none")
    assert random.settings["freeze_param"] == ["head.joint"]
    values = random.settings["encoder_conf"]["config"]
    assert (values["freeze_feature_extractor"], values["freeze_encoder_updates"]) == (False, 0)
    assert "random weights" in random.note and "freeze_encoder_updates, freeze_param" in random.note
    assert not plan(tmp_path, config, corpus, pretrained="none").note


def test_what_is_written_about_an_encoder_is_none_of_it(tmp_path: Path, config: str, corpus: Corpus) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(ROOT / "egs/mini/pretrained", folder)
    found = plan(tmp_path, config, corpus, pretrained=str(folder)).pretrained_files
    assert {Path(file).name for file in found} >= {"config.json", "model.safetensors"}
    assert not any(file.endswith(".md") for file in found)


def test_a_later_stage_starts_from_the_best_of_its_row(tmp_path: Path, config: str, corpus: Corpus) -> None:
    exp = finish(tmp_path, "1", hidden_dropout=0.0, freeze_feature_extractor=True)
    found = plan(tmp_path, config, corpus, "2b", pretrained="WAV2VEC2_XLSR53")
    assert found.init_from == exp / "valid.ter.best.pth"
    assert found.settings["init_from"] == str(exp / "valid.ter.best.pth")
    encoder = found.settings["encoder_conf"]
    assert encoder["pretrained"] is None
    # The trained architecture, and what the configuration says beside its preset.
    assert encoder["config"] == {"hidden_size": 96, "hidden_dropout": 0.2, "freeze_feature_extractor": True}
    assert encoder["train_context"] == {"chunk_frames": 32, "left_frames": 0, "sink_frames": 0}


@pytest.mark.parametrize("gone", ["everything", "the marker", "the checkpoint"])
def test_an_unfinished_start_says_what_to_run(tmp_path: Path, config: str, corpus: Corpus, gone: str) -> None:
    if gone != "everything":
        exp = finish(tmp_path, "3b")
        (exp / (MARKER if gone == "the marker" else "valid.ter.best.pth")).unlink()
    with pytest.raises(
        UserError, match=r"run\.sh stage 8: training stage 4 .*--stage 7 --stop_stage 7 --variants 3b"
    ):
        plan(tmp_path, config, corpus, "4")


def test_what_the_recipe_sets_may_not_stand_in_a_configuration(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("seed: 7", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.yaml: seed is set by run\.sh"):
        plan(tmp_path, str(path), corpus)
    path.write_text("token_list: mine.txt", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.yaml: token_list is set by run\.sh"):
        plan(tmp_path, str(path), corpus)


def test_speed_settings_do_not_make_another_training() -> None:
    base = {"max_epoch": 3, "num_workers": 1, "log_interval": 5}
    assert identity(base) == identity({**base, "num_workers": 4, "log_interval": 50})
    assert identity(base) == identity({**base, "max_invalid_updates": 9, "checkpoint_seconds": 5.0})
    assert identity(base) != identity({**base, "max_epoch": 4})


@pytest.mark.parametrize("name", ["train_tiny", "train_small", "train_xlsr53"])
def test_shipped_configurations_resolve(tmp_path: Path, corpus: Corpus, name: str) -> None:
    found = plan(tmp_path, str(ROOT / f"conf/{name}.yaml"), corpus)
    assert found.settings["best_model_criterion"] == [["valid", "ter", "min"]]
    assert set(read_tree(ROOT / f"conf/{name}.yaml")) <= set(found.settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{max_epoch: 3}", "1 has epochs 30 and max_epoch in its options: write epochs alone"),
        ("{optim_conf: {lr: 3}}", r"1 has lr 0\.001 and optim_conf\.lr in its options: write lr alone"),
    ],
)
def test_what_a_row_says_twice_is_refused(
    tmp_path: Path, config: str, corpus: Corpus, options: str, message: str
) -> None:
    """The options' value was overruled without a word."""
    own = tmp_path / "stages.yaml"
    own.write_text(f"stages: {{1: {{options: {options}}}}}", encoding="utf-8")
    table = load_stages(str(ROOT / "conf/stages.yaml"), str(own))
    with pytest.raises(UserError, match=message):
        make_plan(table, "1", tmp_path / "exp/asr_x", [config], corpus)
