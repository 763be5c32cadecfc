from __future__ import annotations

import json
from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe import markers
from xlsrt.recipe.markers import fingerprint, is_done, read_marker, write_marker
from xlsrt.recipe.step import Step


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("a hello\n", encoding="utf-8")
    return path


def test_the_fingerprint_follows_options_inputs_kind_and_code(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["python", "-m", "tool", "--nbpe", "100"]
    before = fingerprint("tokens", command, [text])
    assert fingerprint("tokens", command, [text]) == before
    assert fingerprint("tokens", [*command[:-1], "99"], [text]) != before
    assert fingerprint("shapes", command, [text]) != before
    assert fingerprint("tokens", command, []) != before
    text.write_text("a other\n", encoding="utf-8")
    assert fingerprint("tokens", command, [text]) != before
    text.write_text("a hello\n", encoding="utf-8")
    assert fingerprint("tokens", command, [text]) == before
    monkeypatch.setitem(markers.STEP_VERSIONS, "tokens", 99)
    assert fingerprint("tokens", command, [text]) != before


def test_speed_and_the_interpreters_place_do_not_count(text: Path) -> None:
    def made_by(*command: str) -> str:
        return Step("title", "format", text.with_name(".done"), command, [str(text)]).fingerprint()

    one = made_by("/a/python3", "-m", "tool", "--nj", "1", "--x", "1")
    assert made_by("/b/python", "-m", "tool", "--nj", "8", "--x", "1") == one
    assert made_by("/b/python", "-m", "tool", "--nj", "8", "--x", "8") != one


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        fingerprint("format", ["tool"], [tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data/dev/wav.scp", "run stage 1 first"),
        ("dump/raw/dev/text", "run stage 2 first"),
        ("exp/asr_stage2b/.done", r"run the stage \(5 to 9\) that trains it first"),
        ("exp/asr_stage2b/decode_x/test/.decoded", "run stage 10 first"),
        ("exp/asr_stage2b/decode_x/test/score_wer/score.json", "run stage 11 first"),
        ("exp/other", "the stage that makes it has not been run"),
    ],
)
def test_the_stage_that_makes_an_input_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=f"no such file; {said} "):
        fingerprint("score", ["tool"], [tmp_path / name])


def test_a_marker_counts_with_its_outputs_only(tmp_path: Path, text: Path) -> None:
    marker = tmp_path / "out/.done"
    assert not is_done(marker, "abc")
    write_marker(marker, {"fingerprint": "abc"})
    assert is_done(marker, "abc", [text])
    assert not is_done(marker, "abd", [text])
    assert not is_done(marker, "abc", [text, tmp_path / "gone"])


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff"])
def test_a_damaged_marker_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "m").write_text(content, encoding="latin-1")
    assert read_marker(tmp_path / "m") == {}


def test_all_of_a_steps_settings_count_also_before_a_path(text: Path) -> None:
    """They are a line of JSON with paths in it: no program, of which the name after the last slash counts."""

    def made_from(**settings: object) -> str:
        words = [json.dumps(settings, sort_keys=True)]
        marker = text.with_name(".done")
        return Step("title", "train", marker, ["python"], [str(text)], identity=words).fingerprint()

    before = made_from(lr=1, path="exp/a/config.yaml", z=1)
    assert before == made_from(lr=1, path="exp/a/config.yaml", z=1)
    assert len({before, made_from(lr=2, path="exp/a/config.yaml", z=1), made_from(lr=1, path="b", z=1)}) == 3
