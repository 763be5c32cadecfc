from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xlsrt.bin.compare import main
from xlsrt.errors import UserError
from xlsrt.report.comparison import compare_decoded, pick_baseline, select, table_rows
from xlsrt.report.edits import align
from xlsrt.report.material import Material
from xlsrt.report.score_sections import cards, scores
from xlsrt.report.scoring import comparison_text, score_files

RATES = {"5a": 0.2, "5b": 0.1, "5d": 0.2, "5e": 0.4}
CONTEXTS = {"5a": (640, 4), "5b": (640, 16), "5d": (1280, 0), "5e": (640, 0)}


@pytest.fixture(scope="module")
def expdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models of one stage 4, decoded on 40 recordings of 20 words."""
    root = tmp_path_factory.mktemp("study")
    draw = random.Random(0)
    (root / "text").write_text("".join(f"u{n:02} {'w ' * 20}\n" for n in range(40)))
    for variant, rate in RATES.items():
        out = root / "exp" / f"asr_x_stage{variant}" / "decode_own_valid.ter.ave" / "test_long"
        out.mkdir(parents=True)
        lines = (" ".join("x" if draw.random() < rate else "w" for _ in range(20)) for _ in range(40))
        (out / "text").write_text("".join(f"u{n:02} {line}\n" for n, line in enumerate(lines)))
        left, sinks = CONTEXTS[variant]
        context = {"chunk_ms": 640, "left_ms": left, "sink_frames": sinks}
        (out / "decoding.json").write_text(json.dumps({"context": context}))
        score_files(root / "text", out / "text", out)
    return root / "exp"


def errors(expdir: Path, variant: str) -> np.ndarray:
    (decoded,) = select(expdir, "test_long", [variant])
    return np.array([a.counts.errors for a in decoded.alignments.values()])


def test_table_of_the_study(expdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--expdir", str(expdir), "--dataset", "test_long", "--models", "5a", "5b", "5d", "5e"]
    main([*command, "--baseline", "5d", "--output", str(tmp_path / "table.md")])
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[2].startswith("5d") and "left 1280 ms" in lines[2] and "baseline" in lines[2]
    assert [line.split()[0] for line in lines[2:6]] == ["5d", "5a", "5b", "5e"]
    difference = 100 * (errors(expdir, "5b") - errors(expdir, "5d")).sum() / 800
    assert f"{difference:+.2f}" in lines[4] and "640 ms, left 640 ms, 16 sinks" in lines[4]
    assert "40 utterances" in lines[-1] and "few" not in printed
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table[0].startswith("| model | decoding |") and table[2].startswith("| 5d | own |")
    main([*command, "--baseline", "5d", "--output", str(tmp_path / "again.md"), "--quiet"])
    assert capsys.readouterr().out == "" and (tmp_path / "again.md").read_text().splitlines() == table
    with pytest.raises(UserError, match="--quiet is for --output"):
        main([*command, "--quiet"])


def test_intervals_are_those_of_a_direct_bootstrap(expdir: Path) -> None:
    decoded = select(expdir, "test_long", ["5b", "5e"])
    rows = compare_decoded(decoded, pick_baseline(decoded, "5e"))
    difference = errors(expdir, "5b") - errors(expdir, "5e")
    draws = np.random.default_rng(5).integers(0, 40, (4000, 40))
    direct = np.quantile(100 * difference[draws].mean(1) / 20, [0.025, 0.975])
    versus = rows[1].versus
    assert versus is not None and rows[0].versus is None
    assert versus.interval == pytest.approx(tuple(direct), abs=0.5)
    assert versus.interval[1] < 0 and versus.p < 0.001


@pytest.mark.parametrize("said", ["u1 w\n", "u1\nu2\n"])
def test_one_utterance_or_no_words_have_no_interval(tmp_path: Path, said: str) -> None:
    (tmp_path / "text").write_text(said)
    for model in ("5a", "5b"):
        out = tmp_path / "exp" / f"asr_x_stage{model}" / "decode_own" / "test"
        out.mkdir(parents=True)
        (out / "text").write_text("".join(f"{line} x y\n" for line in said.splitlines()))
        score_files(tmp_path / "text", out / "text", out)
    decoded = select(tmp_path / "exp", "test")
    rows = compare_decoded(decoded, decoded[0])
    assert rows[0].interval is rows[1].interval is None
    (_, _, _, _, _, interval, _, _, _), (*_, paired, _) = table_rows(rows)
    assert interval == paired == "-"
    assert "95 % interval - (paired" in comparison_text(
        tmp_path / "text", *(d.path / "text" for d in decoded)
    )
    page = scores(Material(tmp_path / "exp", decoded, [], 0.0, False))
    assert '<td class="figure">-</td>' in page and " to " not in page.partition("Interval:")[0]


def test_the_card_of_a_set_says_stream_to_streams_alone(expdir: Path) -> None:
    """The best is masked; a set without words has no rate."""
    decoded = [
        replace(d, facts={**d.facts, "mode": mode})
        for model, mode in (("5b", "masked"), ("5a", "streaming"))
        for d in select(expdir, "test_long", [model])
    ]
    for shown in (decoded, decoded[:1]):  # what is masked, where there are no streams
        card, best = cards(Material(expdir, list(shown), [], 0.0, False)), shown[-1]
        mode, rate = best.facts["mode"], f"{best.counts.error_rate:.1f}"
        assert f'<b class="{mode}">{rate}<small> %</small></b><span>{mode}<br>' in card
        assert card.count("<b class=") == 1
    silent = replace(decoded[0])
    for said in ("", "noise"):
        silent.__dict__["alignments"] = {"u": align([], said.split())}
        assert '<b class="masked">-</b>' in cards(Material(expdir, [silent], [], 0.0, False))


def test_what_is_not_there_is_said(expdir: Path) -> None:
    with pytest.raises(UserError, match="no scores of test; scored sets: test_long"):
        select(expdir, "test")
    with pytest.raises(UserError, match="for 5c; there are: 5a own, 5b own"):
        select(expdir, "test_long", ["5a", "5c"])
    decoded = select(expdir, "test_long")
    with pytest.raises(UserError, match="--baseline 9 is not among them; choose one of: 5a own"):
        pick_baseline(decoded, "9")
    assert pick_baseline(decoded, None).model == "asr_x_stage5a"
    assert pick_baseline(decoded, "5b own").model == "asr_x_stage5b"


def test_other_references_are_refused(expdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "exp" / "asr_y_stage5b" / "decode_own" / "test_long"
    out.mkdir(parents=True)
    (tmp_path / "text").write_text("u00 w w\n")
    (out / "text").write_text("u00 w w\n")
    score_files(tmp_path / "text", out / "text", out)
    (other,) = select(tmp_path / "exp", "test_long")
    (ours,) = select(expdir, "test_long", ["5a"])
    with pytest.raises(UserError, match="other utterances or references"):
        compare_decoded([ours, other], ours)
