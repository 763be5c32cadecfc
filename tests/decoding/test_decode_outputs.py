from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xlsrt.decoding import outputs
from xlsrt.decoding.outputs import Recognised
from xlsrt.errors import UserError


def result(utt: str, text: str = "a b") -> Recognised:
    return Recognised(utt, text, ("▁a", "▁b"), (3, 4), (10, 25), (0.5, 0.25), -1.5)


def test_files_are_in_the_sets_order_with_times_in_seconds(tmp_path: Path) -> None:
    outputs.append_results(tmp_path, 1, "f", [result("u2"), result("u3")])
    outputs.append_results(tmp_path, 2, "f", [Recognised("u1", "", (), (), (), (), -0.5)])
    outputs.merge(tmp_path, "f", ["u1", "u2", "u3"])
    assert (tmp_path / "text").read_text() == "u1\nu2 a b\nu3 a b\n"
    assert (tmp_path / "token").read_text() == "u1\nu2 ▁a ▁b\nu3 ▁a ▁b\n"
    assert (tmp_path / "token_int").read_text() == "u1\nu2 3 4\nu3 3 4\n"
    assert (tmp_path / "token_time").read_text() == "u1\nu2 0.20 0.50\nu3 0.20 0.50\n"
    assert (tmp_path / "token_prob").read_text() == "u1\nu2 0.5000 0.2500\nu3 0.5000 0.2500\n"
    assert (tmp_path / "score").read_text() == "u1 -0.5000\nu2 -1.5000\nu3 -1.5000\n"
    assert (tmp_path / "logdir" / "output.1" / "1best_recog" / "text").read_text() == "u2 a b\nu3 a b\n"


def test_a_line_break_that_bytes_spell_breaks_no_line() -> None:
    assert result("u1", "a\nb  c").line("text") == "u1 a b  c\n"


def test_a_half_written_line_is_lost_alone(tmp_path: Path) -> None:
    outputs.append_results(tmp_path, 1, "f", [result("u1"), result("u2")])
    path = outputs.shard_dir(tmp_path, 1) / "results.f.jsonl"
    whole = path.read_bytes()
    for cut in range(1, len(whole.split(b"\n")[1]) + 1):
        path.write_bytes(whole[:-cut])
        assert "u1" in outputs.kept_results(tmp_path, "f")
        outputs.append_results(tmp_path, 1, "f", [result("u3")])
        assert {"u1", "u3"} <= set(outputs.kept_results(tmp_path, "f"))
    with pytest.raises(UserError, match=r"1 of 3 utterances are not decoded yet \(first: u2\)"):
        outputs.merge(tmp_path, "f", ["u1", "u2", "u3"])


def test_results_of_another_model_do_not_count_and_go_at_the_merge(tmp_path: Path) -> None:
    outputs.append_results(tmp_path, 1, "old", [result("u1")])
    assert outputs.kept_results(tmp_path, "new") == {}
    outputs.append_results(tmp_path, 1, "new", [result("u1", "c")])
    outputs.merge(tmp_path, "new", ["u1"])
    assert (tmp_path / "text").read_text() == "u1 c\n"
    assert [p.name for p in (tmp_path / "logdir" / "output.1").glob("results.*")] == ["results.new.jsonl"]


def test_merged_marker(tmp_path: Path) -> None:
    assert not outputs.is_merged(tmp_path, "f")
    outputs.append_results(tmp_path, 1, "f", [result("u1")])
    outputs.merge(tmp_path, "f", ["u1"])
    (tmp_path / outputs.FACTS).touch()
    outputs.mark_merged(tmp_path, "f")
    assert outputs.is_merged(tmp_path, "f") and not outputs.is_merged(tmp_path, "g")
    (tmp_path / "text").rename(tmp_path / "away")
    assert not outputs.is_merged(tmp_path, "f"), "deleted since"
    (tmp_path / "away").rename(tmp_path / "text")
    assert outputs.is_merged(tmp_path, "f")
    outputs.mark_merged(tmp_path, None)
    assert not outputs.is_merged(tmp_path, "f")


def test_further_hypotheses_have_folders_of_their_own(tmp_path: Path) -> None:
    three = replace(result("u1"), others=(result("u1", "a c"), result("u1", "b")), stable=(0.5, 0.9))
    outputs.append_results(tmp_path, 1, "f", [three, replace(result("u2"), others=(result("u2", "d"),))])
    assert outputs.kept_results(tmp_path, "f")["u1"] == three
    outputs.merge(tmp_path, "f", ["u1", "u2"])
    shard = tmp_path / "logdir" / "output.1"
    texts = [(shard / f"{rank}best_recog" / "text").read_text() for rank in (1, 2, 3)]
    assert texts == ["u1 a b\nu2 a b\n", "u1 a c\nu2 d\n", "u1 b\n"]
    outputs.append_results(tmp_path, 1, "g", [result("u1")])
    outputs.merge(tmp_path, "g", ["u1"])
    assert sorted(path.name for path in shard.glob("*best_recog")) == ["1best_recog"]


def test_folders_of_shards_that_there_are_no_more_go_at_the_merge(tmp_path: Path) -> None:
    for job in (1, 2):
        outputs.append_results(tmp_path, job, "f", [result(f"u{job}")])
    outputs.merge(tmp_path, "f", ["u1", "u2"])
    outputs.append_results(tmp_path, 1, "g", [result("u1"), result("u2")])
    outputs.merge(tmp_path, "g", ["u1", "u2"])
    left = [path.parent.parent.name for path in (tmp_path / "logdir").glob("*/1best_recog/text")]
    assert left == ["output.1"]
