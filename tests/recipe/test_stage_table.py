from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.context import AttentionContext, ContextSampler, training_context_from_dict
from xlsrt.errors import UserError
from xlsrt.recipe.stages import load_stages

ROOT = Path(__file__).resolve().parents[2]
CONF = str(ROOT / "conf/stages.yaml")
FULL = (None, None, 0)

# DESIGN's table: stage, (chunk, left, sinks) of validation in frames, start, on the default path.
TABLE = {
    "1": (1, FULL, None, True),
    "2a": (2, (16, 0, 0), "1", False),
    "2b": (2, (32, 0, 0), "1", True),
    "2c": (2, (64, 0, 0), "1", False),
    "2d": (2, (128, 0, 0), "1", False),
    "3a": (3, (32, 32, 0), "2b", False),
    "3b": (3, (32, 64, 0), "2b", True),
    "3c": (3, (32, None, 0), "2b", False),
    "3d": (3, (32, 64, 0), "1", False),
    "4": (4, (32, 64, 0), "3b", True),
    "5a": (5, (32, 32, 4), "4", False),
    "5b": (5, (32, 32, 16), "4", True),
    "5c": (5, (32, 32, 16), "4", False),
    "5d": (5, (32, 64, 0), "4", False),
    "5e": (5, (32, 32, 0), "4", False),
}


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "stages.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_table_is_the_papers() -> None:
    table = load_stages(CONF)
    found = {}
    for variant in table.variants.values():
        context = AttentionContext.from_dict(variant.eval_context)
        shape = (context.chunk_frames, context.left_frames, context.sink_frames)
        found[variant.name] = (variant.stage, shape, variant.init_from, variant.default)
    assert found == TABLE


def test_fixed_variants_train_in_the_context_that_validates_them() -> None:
    for variant in load_stages(CONF).variants.values():
        context = training_context_from_dict(variant.train_context)
        if variant.name in ("4", "5c"):
            assert isinstance(context, ContextSampler)
        else:
            assert context == AttentionContext.from_dict(variant.eval_context)


def test_multi_chunk_draws_every_multiple_of_8_from_16_to_64() -> None:
    sampler = training_context_from_dict(load_stages(CONF)["4"].train_context)
    assert isinstance(sampler, ContextSampler)
    drawn = [sampler.sample(step) for step in range(300)]
    assert {context.chunk_frames for context in drawn} == {16, 24, 32, 40, 48, 56, 64}
    assert {(context.left_frames, context.sink_frames) for context in drawn} == {(64, 0)}


def test_every_latency_variant_draws_full_attention_and_every_left_and_sink() -> None:
    sampler = training_context_from_dict(load_stages(CONF)["5c"].train_context)
    assert isinstance(sampler, ContextSampler)
    drawn = [sampler.sample(step) for step in range(500)]
    chunked = [context for context in drawn if not context.is_full]
    assert len(chunked) < len(drawn)
    assert {context.chunk_frames for context in chunked} == set(range(16, 129, 8))
    assert {context.sink_frames for context in chunked} == {0, 4, 16}
    assert None in {context.left_frames for context in chunked}
    assert {
        c.left_frames / c.chunk_frames for c in chunked if c.left_frames is not None and c.chunk_frames
    } == {1, 2}


def test_selection_keeps_the_tables_order() -> None:
    table = load_stages(CONF)
    assert [v.name for v in table.select("default")] == ["1", "2b", "3b", "4", "5b"]
    assert [v.name for v in table.select("all")] == list(TABLE)
    assert [v.name for v in table.select("5b, 2a default")] == ["1", "2a", "2b", "3b", "4", "5b"]
    assert [v.name for v in table.select("all", 6)] == ["2a", "2b", "2c", "2d"]
    assert str(table["2b"]) == "run.sh stage 6: training stage 2b (chunked masking)"


@pytest.mark.parametrize("names", ["6", "2b 5z", ""])
def test_unknown_selection_is_refused(names: str) -> None:
    with pytest.raises(UserError, match=r"variant|--variants"):
        load_stages(CONF).select(names)


def test_a_corpus_changes_single_values(tmp_path: Path) -> None:
    over = write(
        tmp_path,
        "stages: {1: {epochs: 3, options: {a: 1}}, 5: {variants: {5b: {lr: 2.0e-5, options: {b: {c: 2}}}}}}",
    )
    table = load_stages(CONF, over)
    assert table["1"].epochs == 3
    assert table["1"].options == {"a": 1}
    assert table["5b"].lr == 2e-5
    assert table["5b"].options == {"b": {"c": 2}}
    assert table["5b"].init_from == "4"
    assert table["5a"].lr == load_stages(CONF)["5a"].lr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stagez: {}", "unknown key stagez"),
        ("stages: {7: {variants: {7: {init_from: 1, train: full}}}}", "numbered 1 to 5"),
        ("stages: {1: {variants: {1: {train: full}}}}", "`init_from` is missing"),
        ("stages: {1: {variants: {1: {init_from: pretrained}}}}", "`train` is missing"),
        ("stages: {1: {variants: {1: {init_from: pretrained, train: full, epoch: 3}}}}", "unknown key epoch"),
        ("stages: {1: {lr: 1e-3, variants: {1: {init_from: pretrained, train: full}}}}", "1.0e-3"),
        ("stages: {1: {epochs: 0, variants: {1: {init_from: pretrained, train: full}}}}", "epochs"),
        ("stages: {1: {variants: {1: {init_from: 9, train: full}}}}", "unknown variant '9'"),
        ("stages: {1: {variants: {1: {init_from: 1, train: full}}}}", "not of an earlier stage"),
        ("stages: {1: {variants: {1: {init_from: pretrained, train: {chunk: 3}}}}}", "unknown key chunk"),
        (
            "stages: {4: {variants: {4: {init_from: pretrained, train: {chunk_frames: [1, 2]}}}}}",
            "one fixed context",
        ),
        ("stages: {}", "no variants"),
        ("stages: [", "cannot be read as YAML"),
        ("stages: {}\nstages: {}", "stands here twice"),
        ("- 1", "expected `key: value`"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=message) as caught:
        load_stages(path)
    assert "stages.yaml" in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.yaml: no such file"):
        load_stages(str(tmp_path / "nothing.yaml"))
