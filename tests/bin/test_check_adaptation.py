"""What is asked before the self-supervised training of an encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.bin import check_start
from xlsrt.errors import UserError
from xlsrt.recipe.adapt import adaptation_settings
from xlsrt.tree import write_tree

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "egs/mini/pretrained"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("objective: best_guess", "objective is 'best_guess'; it must be one of best_rq, contrastive"),
        ("objective_conf: {code_books: 2}", "objective_conf: unknown key code_books"),
        ("mask_conf: {prob: often}", "mask_conf.prob"),
        ("monitor_conf: {after: 5}", "monitor_conf: unknown key after"),
        ("encoder_conf: {config: {mask_time_probe: 0.1}}", "mask_time_probe"),
        ("max_epochs: 3", "unrecognized arguments: max_epochs"),
        ("max_epoch: 0", "max_epoch is 0; it is at least 1"),
        ("best_model_criterion: []", "best_model_criterion is empty"),
        ("encoder_conf: {config: [layer_drop]}", "encoder_conf.config is .*it must be a mapping"),
        ("encoder_conf: {pretrained: 5}", "encoder_conf.pretrained is 5; it must be text"),
    ],
)
def test_settings_that_no_adaptation_knows(words, tmp_path: Path, options: str, message: str) -> None:
    file = tmp_path / "adapt.yaml"
    file.write_text(options, encoding="utf-8")
    exp = tmp_path / "exp/adapt_tiny"
    asked = [*words, "--adapt", "true", "--adapt_exp", str(exp), "--adapt_config"]
    shipped = str(ROOT / "conf/adapt.yaml")
    assert check_start.main([*asked, shipped]) == 0
    with pytest.raises(UserError, match=message):
        check_start.main([*asked, shipped, str(file)])
    # One that is done with other settings would be done again.
    settings = adaptation_settings([shipped], [words[5]])
    write_tree(exp / "train.yaml", {**settings, "seed": 1}, "")
    (exp / ".done").touch()
    with pytest.raises(UserError, match=message):
        check_start.main([*asked, shipped, str(file)])
    assert check_start.main([*asked, shipped, str(file), "--stage", "10"]) == 0


def test_a_finished_adaptation_is_not_looked_at_again(words, tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []

    def looked(_: object, where: str) -> int:
        asked.append(where)
        return 0

    monkeypatch.setattr("xlsrt.espnet_task.settings.check_ssl_settings", looked)
    exp, shipped = tmp_path / "exp/adapt_tiny", str(ROOT / "conf/adapt.yaml")
    options = [*words, "--adapt", "true", "--adapt_exp", str(exp), "--adapt_config", shipped]
    assert check_start.main(options) == 0
    assert asked == [f"the adaptation (--adapt_config {shipped})"]
    write_tree(exp / "train.yaml", {**adaptation_settings([shipped], [words[5]]), "seed": 1}, "")
    (exp / ".done").touch()
    assert check_start.main(options) == 0 and len(asked) == 1


def test_audio_of_an_adaptation_that_is_not_there(words, tmp_path: Path) -> None:
    (tmp_path / "data/train").mkdir(parents=True)
    asked = [*words, "--adapt", "true", "--adapt_config", str(ROOT / "conf/adapt.yaml")]
    asked += ["--data_dirs", str(tmp_path / "data"), "--prepares", "train", "--adapt_sets"]
    missing = str(tmp_path / "recordings")
    with pytest.raises(UserError, match=f"--adapt_sets: {missing} is neither a set"):
        check_start.main([*asked, f"train {missing}"])
    Path(missing).mkdir()
    (tmp_path / "recordings/a.wav").touch()
    assert check_start.main([*asked, f"train {missing}"]) == 0
    assert check_start.main([*asked, "made_in_stage_1"]) == 0
    # With one's own data stage 1 makes nothing.
    for more in (["--stage", "5"], ["--skip_data", "true"], ["--prepares"]):
        with pytest.raises(UserError, match="--adapt_sets: made_in_stage_1 is neither a set"):
            check_start.main([*asked, "train made_in_stage_1", *more])


def test_a_contrastive_adaptation_needs_a_quantiser(words, tmp_path: Path) -> None:
    file = tmp_path / "adapt.yaml"
    file.write_text(
        "objective: contrastive\nobjective_conf: null\noptim_conf: {lr: 1.0e-4}\n", encoding="utf-8"
    )
    asked = [*words, "--adapt", "true", "--adapt_config", str(file), "--pretrained"]
    with pytest.raises(UserError, match="objective contrastive goes on with a checkpoint: name it in"):
        check_start.main([*asked, "none"])
    with pytest.raises(UserError, match="goes on with a checkpoint's quantiser, and it has no part of it"):
        check_start.main([*asked, str(SHIPPED)])
