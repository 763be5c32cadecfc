"""Our counts beside those of NIST's sclite on the same trn files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rapidfuzz.distance import Levenshtein

from xlsrt.report import sclite
from xlsrt.report.edits import Counts, align
from xlsrt.report.scoring import characters, score_files

installed = pytest.mark.skipif(sclite.find_sclite() is None, reason="sclite is not installed")

Pairs = list[tuple[list[str], list[str]]]


def as_recognisers_err(seed: int) -> Pairs:
    """Words of a large vocabulary, one in seven of them changed, left out or doubled."""
    draw = random.Random(seed)
    vocabulary = [f"w{number:03}é" for number in range(300)]
    pairs = []
    for _ in range(200):
        ref = draw.choices(vocabulary, k=draw.randrange(1, 15))
        hyp = []
        for word in ref:
            fate = draw.random()
            hyp += [] if fate < 0.04 else [draw.choice(vocabulary)] if fate < 0.12 else [word]
            hyp += [draw.choice(vocabulary)] if fate > 0.97 else []
        pairs.append((ref, hyp))
    return pairs


def by_chance(seed: int) -> Pairs:
    """Words of a small vocabulary on both sides: the hardest case for an alignment."""
    draw = random.Random(seed)
    return [tuple(draw.choices("abcD", k=draw.randrange(1, 12)) for _ in "rh") for _ in range(200)]  # type: ignore


def both(tmp_path: Path, pairs: Pairs) -> list[tuple[Counts, Counts]]:
    """(ours, sclite's) of every pair."""
    for side, name in enumerate(("ref", "hyp")):
        lines = (f"u{number:03} {' '.join(pair[side])}\n" for number, pair in enumerate(pairs))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    ours = score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")["wer"]
    report = (tmp_path / "out" / "score_wer" / "result.txt").read_text(encoding="utf-8")
    theirs = sclite.sclite_counts(report)
    assert len(theirs) == len(pairs)
    return [(alignment.counts, theirs[f"{utt}-{utt}"]) for utt, alignment in ours.alignments.items()]


def explained(ref: list[str], hyp: list[str], ours: Counts, theirs: Counts) -> bool:
    """Whether each has what it looks for: we the fewest errors, sclite the least of 4 S + 3 D + 3 I."""
    cost = Levenshtein.distance(ref, hyp, weights=(3, 3, 4))
    assert ours.ref == theirs.ref and ours.errors == Levenshtein.distance(ref, hyp) <= theirs.errors
    return 4 * theirs.sub + 3 * (theirs.dele + theirs.ins) == cost


@installed
def test_ordinary_hypotheses_have_the_same_counts_but_for_the_weights(tmp_path: Path) -> None:
    pairs = as_recognisers_err(0)
    same = 0
    for pair, (ours, theirs) in zip(pairs, both(tmp_path, pairs), strict=True):
        # Errors of one kind alone leave the weights nothing to choose.
        assert ours == theirs or (
            theirs.dele > ours.dele and theirs.ins > ours.ins and explained(*pair, ours, theirs)
        )
        same += ours == theirs
    assert same >= 0.95 * len(pairs)


@installed
def test_every_difference_is_one_of_the_weights(tmp_path: Path) -> None:
    pairs = by_chance(0)
    counted = both(tmp_path, pairs)
    assert all(explained(*pair, *counts) for pair, counts in zip(pairs, counted, strict=True))
    assert 0 < sum(ours != theirs for ours, theirs in counted) < len(pairs) / 2


@installed
def test_characters_too(tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("u1 one two\nu2 Ünlü (x)\n", encoding="utf-8")
    (tmp_path / "hyp").write_text("u1 ones to\nu2 ünlü x\n", encoding="utf-8")
    score = score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")["cer"]
    report = (tmp_path / "out" / "score_cer" / "result.txt").read_text(encoding="utf-8")
    assert sclite.difference(score.counts, report) is None
    assert sclite.sclite_counts(report)["u1-u1"] == align(characters("one two"), characters("ones to")).counts


def test_a_difference_is_said() -> None:
    report = "id: (s-u)\nScores: (#C #S #D #I) 1 0 2 2\n"
    assert sclite.difference(Counts(1, 1, 0, 3, 0, 0), report) == (
        "sclite counts 4 errors in 3 (0 substitutions), we count 3 in 3 (3): see docs/scoring.md"
    )
    assert sclite.difference(Counts(1, 1, 1, 0, 2, 2), report) is None


def test_without_sclite_the_report_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ref").write_text("u1 a b\n")
    (tmp_path / "hyp").write_text("u1 a\n")
    score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")
    assert "| Sum/Avg |" in (tmp_path / "out" / "score_wer" / "result.txt").read_text()


def test_an_sclite_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "sclite"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sclite.sclite_report(tmp_path / "ref.trn", tmp_path / "hyp.trn") is None
    assert "sclite gave no report" in caplog.text
