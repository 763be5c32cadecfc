"""What run.sh refuses before it starts; what needs torch or ESPnet is in tests/bin/test_check_start.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.adapt import adaptation_settings
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.start import (
    check_audio,
    check_languages,
    check_order,
    check_sets,
    check_texts,
    encoders,
    trains_first,
    unseen_adaptation,
)
from xlsrt.tree import write_tree

ROOT = Path(__file__).resolve().parents[2]
ALL, LATER = range(1, 14), range(2, 14)


def test_the_users_own_sets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/wav.scp").touch()
    check_sets(tmp_path, ["train", "test"])
    with pytest.raises(UserError, match="dev is there, and stage 1 did not make it: add --corpus none"):
        check_sets(tmp_path, ["train", "dev"])
    for name in (".prepared", ".prepared.lock"):  # an earlier version that failed left a lock alone
        (tmp_path / name).touch()
        check_sets(tmp_path, ["train", "dev"])
        (tmp_path / name).unlink()


def test_text_is_there_or_made_by_stage_1(tmp_path: Path) -> None:
    made, other = str(tmp_path / "data/more/text"), str(tmp_path / "other")
    check_texts(made, [tmp_path / "data"], ALL)
    for names, stages in ((made, LATER), (f"{made} {other}", ALL)):
        with pytest.raises(UserError, match=f"--lm_train_text {names.split()[-1]}: there is no such file"):
            check_texts(names, [tmp_path / "data"], stages)
    check_texts(other, [], range(4, 14))
    check_texts("auto", [], ALL)


def test_audio_is_there_or_made_by_stage_1(tmp_path: Path) -> None:
    check_audio("made_in_stage_1", [tmp_path], made=True)
    for sets, made in (("made_in_stage_1", False), ("here/radio", True)):
        with pytest.raises(UserError, match=f"--adapt_sets: {sets} is neither a set"):
            check_audio(sets, [tmp_path], made)
    (tmp_path / "radio").mkdir()
    with pytest.raises(UserError, match=f"--adapt_sets {tmp_path}/radio: neither wav.scp nor audio files"):
        check_audio(f"{tmp_path}/radio", [], made=True)


def test_trainings_start_from_what_is_there_or_comes_before(tmp_path: Path) -> None:
    table, prefix = load_stages(ROOT / "conf/stages.yaml"), str(tmp_path / "exp/asr")
    for variants in ("default", "all", "1 2b"):
        check_order(table, variants, ALL, prefix)
    check_order(table, "1 5b", range(1, 6), prefix)
    check_order(table, "1 5b", range(10, 14), prefix)
    for variants, stages, named in (
        ("1 5b", ALL, "5b .* stage 4"),
        ("default", range(6, 14), "2b .* stage 1"),
    ):
        with pytest.raises(UserError, match=f"training stage {named} has not been trained: run"):
            check_order(table, variants, stages, prefix)
    done = tmp_path / "exp/asr_stage4/.done"
    done.parent.mkdir(parents=True)
    done.touch()
    check_order(table, "1 5b", ALL, prefix)


def test_languages_to_balance_are_named_or_may_be_made_by_stage_1(tmp_path: Path) -> None:
    balanced, plain = [{}, {"language_balance": 0.5}], [{}, {"language_balance": 1}]
    check_languages(balanced, tmp_path, ALL, [])
    (tmp_path / "wav.scp").touch()
    for stages, made in ((ALL, []), (LATER, [tmp_path.name])):
        with pytest.raises(UserError, match="utt2lang: no such file, so the languages cannot be balanced"):
            check_languages(balanced, tmp_path, stages, made)
        check_languages(plain, tmp_path, stages, made)
    check_languages(balanced, tmp_path, ALL, [tmp_path.name])
    check_languages(balanced, tmp_path, range(3, 14), [])
    (tmp_path / "utt2lang").touch()
    check_languages(balanced, tmp_path, ALL, [])


def test_who_needs_an_encoder_to_start_from() -> None:
    assert trains_first(ALL) and trains_first(range(5, 6))
    assert not trains_first(range(1, 5)) and not trains_first(range(6, 14))


def test_a_finished_adaptation_is_not_looked_at_again(tmp_path: Path) -> None:
    files = [str(ROOT / "conf/adapt.yaml")], [str(ROOT / "conf/train_small.yaml")]
    settings = adaptation_settings(*files, "", [])
    assert unseen_adaptation(None, *files, "", []) == settings
    assert unseen_adaptation(tmp_path, *files, "", []) == settings
    write_tree(tmp_path / "train.yaml", {**settings, "seed": 1})
    (tmp_path / ".done").touch()
    assert unseen_adaptation(tmp_path, *files, "", []) is None
    assert unseen_adaptation(tmp_path, *files, "none", []) is not None


def test_sections_that_are_no_mappings_are_named(tmp_path: Path) -> None:
    table = load_stages(ROOT / "conf/stages.yaml")
    for written, named in (
        ("{config: tiny}", r"encoder_conf\.config is 'tiny'"),
        ("tiny", "encoder_conf is"),
    ):
        file = tmp_path / "train.yaml"
        file.write_text(f"encoder_conf: {written}", encoding="utf-8")
        with pytest.raises(UserError, match=named):
            encoders(table, "default", "exp/asr", [str(file)], str(ROOT / "egs/mini/pretrained"))
