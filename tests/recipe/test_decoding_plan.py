from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xlsrt.context import AttentionContext, ContextSampler, training_context_from_dict
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recipe.decoding import config_files, find_configs, give_ngrams, plan_decoding, share_encoder
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.training import MARKER
from xlsrt.tree import write_tree

ROOT = Path(__file__).resolve().parents[2]
TABLE = load_stages(str(ROOT / "conf/stages.yaml"))
CONFIGS = sorted((ROOT / "conf").glob("decode_*.yaml"))


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    for name in ("1", "4"):
        folder = tmp_path / f"exp/asr_x_stage{name}"
        write_tree(folder / "config.yaml", {"best_model_criterion": [["valid", "ter", "min"]]})
        for file in (MARKER, "valid.ter.best.pth", "valid.ter.ave.pth", "3epoch.pth"):
            (folder / file).write_text("x", encoding="utf-8")
    return tmp_path / "exp/asr_x"


@pytest.fixture
def dumps(tmp_path: Path) -> list[Path]:
    for name in ("dev", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "wav.scp").write_text("a a.flac\n", encoding="utf-8")
    return [tmp_path / "dev", tmp_path / "test"]


def was_trained_in(context: AttentionContext, name: str) -> bool:
    training = training_context_from_dict(TABLE[name].train_context)
    if isinstance(training, ContextSampler):
        return any(training.sample(step) == context for step in range(2000))
    return training == context


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configurations_name_stages_that_saw_their_context(path: Path) -> None:
    config = DecodeConfig.from_file(path)
    assert config.stages
    for name in TABLE.variants:
        assert (name in config.stages) == was_trained_in(config.context, name), name


def test_every_variant_is_decoded_with_something() -> None:
    meant = {name for path in CONFIGS for name in DecodeConfig.from_file(path).stages or ()}
    assert meant == set(TABLE.variants)


def test_only_contexts_that_a_model_saw(exp: Path, dumps: list[Path]) -> None:
    plans = plan_decoding(TABLE, "1 4", exp, CONFIGS, dumps)
    assert {(p.variant.name, p.config.stem) for p in plans} == {
        ("1", "decode_offline"),
        ("1", "decode_offline_beam4"),
        ("4", "decode_streaming_320ms"),
        ("4", "decode_left_1280ms"),
        ("4", "decode_streaming_1280ms"),
    }
    assert len(plans) == 10
    assert str(plans[0].output_dir).endswith("exp/asr_x_stage1/decode_offline_valid.ter.ave/dev")
    every = plan_decoding(TABLE, "1", exp, CONFIGS, dumps, every=True, ngram=True)
    assert len(every) == 2 * len(CONFIGS)


def test_who_shares_an_encoder(exp: Path, dumps: list[Path], tmp_path: Path) -> None:
    plans = plan_decoding(TABLE, "1 4", exp, CONFIGS, dumps, ngram=True)
    for plan in plans:
        found = [other for other in plans if other is not plan and share_encoder(plan, other)]
        wanted = DecodeConfig.from_file(plan.config)
        assert found == [
            other
            for other in plans
            if other is not plan
            and (other.exp_dir, other.data_dir) == (plan.exp_dir, plan.data_dir)
            and wanted.hears_as(DecodeConfig.from_file(other.config))
        ]
        assert len(found) == (2 if plan.config.stem.startswith("decode_offline") else 0)
    rules = tmp_path / "decode_rules.yaml"
    write_tree(rules, {"context": "full", "mode": "masked", "endpoint": {"trailing_silence": 0.5}})
    with_rules = [replace(plan, config=rules) for plan in plans[:1] * 2]
    assert not share_encoder(*with_rules)


def test_an_ngram_model_brings_its_configurations(exp: Path, dumps: list[Path], tmp_path: Path) -> None:
    plans = plan_decoding(TABLE, "1 4", exp, CONFIGS, dumps, ngram=True)
    without = plan_decoding(TABLE, "1 4", exp, CONFIGS, dumps)
    added = [plan for plan in plans if plan not in without]
    assert {plan.config.stem for plan in added} == {"decode_offline_ngram"}
    assert config_files(added[0].config, tmp_path / "made") == [str(tmp_path / "made/ngram.arpa")]
    # The built-in corpus's own configuration takes a bigram model too.
    builtin = ROOT / "egs/mini/conf" / added[0].config.name
    plans = [replace(plan, config=builtin) if plan in added else plan for plan in plans]
    with pytest.raises(UserError, match=r"decode_offline_ngram.yaml: .*--use_ngram true"):
        plan_decoding(TABLE, "1", exp, [added[0].config], dumps)
    made, exp_dir = tmp_path / "made", added[0].exp_dir
    made.mkdir()
    (made / "bigram.arpa").write_text("pairs", encoding="utf-8")
    with pytest.raises(UserError, match=r"made/ngram.arpa is missing: run stage 3 .*--use_ngram true"):
        give_ngrams(made, plans)
    own = exp_dir / "ngram.arpa"
    for content in ("one", "two"):
        (made / "ngram.arpa").write_text(content, encoding="utf-8")
        give_ngrams(made, plans)
        assert own.read_text(encoding="utf-8") == content
    assert (exp_dir / "bigram.arpa").read_text(encoding="utf-8") == "pairs"
    assert not (tmp_path / "exp/asr_x_stage4/ngram.arpa").exists(), "nothing decodes that model with it"
    before = own.stat().st_mtime_ns
    give_ngrams(made, plans)
    assert own.stat().st_mtime_ns == before, "decodings with it are not done again"
    names = [str(made / name) for name in ("ngram.arpa", "bigram.arpa")]
    assert config_files(builtin, made) == names
    assert config_files(without[0].config, made) == []


@pytest.mark.parametrize(
    ("choice", "file"),
    [("best", "valid.ter.best"), ("ave", "valid.ter.ave"), ("3epoch.pth", "3epoch")],
)
def test_the_model_file_is_chosen(exp: Path, dumps: list[Path], choice: str, file: str) -> None:
    plans = plan_decoding(TABLE, "1", exp, CONFIGS, dumps, choice)
    assert plans[0].output_dir.parent.name == f"decode_offline_{file}"


def test_what_is_missing_is_named(exp: Path, dumps: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no nothing\.pth .* has 3epoch\.pth valid"):
        plan_decoding(TABLE, "1", exp, CONFIGS, dumps, "nothing.pth")
    with pytest.raises(UserError, match=r"--stage 6 --stop_stage 6 --variants 2b"):
        plan_decoding(TABLE, "1 2b", exp, CONFIGS, dumps)
    with pytest.raises(UserError, match=r"gone/wav\.scp is missing: run stage 2"):
        plan_decoding(TABLE, "1", exp, CONFIGS, [tmp_path / "gone"])
    with pytest.raises(UserError, match="no decoding configuration is meant for"):
        plan_decoding(TABLE, "1", exp, [ROOT / "conf/decode_streaming_320ms.yaml"], dumps)


def test_configurations_are_looked_up_folder_by_folder(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    mine = tmp_path / "conf/decode_offline.yaml"
    mine.write_text("context: full", encoding="utf-8")
    assert find_configs("conf/decode_offline.yaml", [tmp_path, ROOT]) == [mine]
    assert find_configs("conf/decode_chunk_640ms.yaml", [tmp_path, ROOT]) == [
        ROOT / "conf/decode_chunk_640ms.yaml"
    ]
    assert find_configs("conf/decode_*.yaml", [tmp_path / "conf", ROOT]) == CONFIGS
    mixed = find_configs("conf/decode_*.yaml", [tmp_path, ROOT])
    assert mixed == [mine if path.name == mine.name else path for path in CONFIGS]
    with pytest.raises(UserError, match=r"there is no conf/none\.yaml"):
        find_configs("conf/none.yaml", [tmp_path, ROOT])
    with pytest.raises(UserError, match="two files are called decode_offline"):
        find_configs(f"{mine} {ROOT}/conf/decode_offline.yaml", [tmp_path])


def test_a_configuration_without_stages_is_for_every_model(
    exp: Path, dumps: list[Path], tmp_path: Path
) -> None:
    mine = tmp_path / "decode_mine.yaml"
    mine.write_text("context: {chunk_ms: 80, left_ms: 80}", encoding="utf-8")
    assert len(plan_decoding(TABLE, "1 4", exp, [mine], dumps)) == 4
