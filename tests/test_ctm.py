"""CTM files: lines as they are written, and what may stand in those that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.ctm import aligned_by, alignment_head, ctm_lines, read_ctm
from xlsrt.errors import UserError


def test_lines() -> None:
    assert ctm_lines("u1", []) == ""
    assert ctm_lines("u1", [("a", 0.1, 0.35), ("b", 0.35, 2)]) == "u1 1 0.100 0.250 a\nu1 1 0.350 1.650 b\n"
    assert ctm_lines("u1", [("wörld", 0.3, 0.4, 0.5)]) == "u1 1 0.300 0.100 wörld 0.5000\n"
    short = ctm_lines("u1", [("a", 0.3, 0.4, 0.5)], places=2, confidence_places=3)
    assert short == "u1 1 0.30 0.10 a 0.500\n"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.ctm"
    first, second = [("a", 0.0, 0.5), ("b", 0.5, 0.75)], [("c", 1.0, 2.0, 0.9)]
    path.write_text(ctm_lines("u1", first) + ctm_lines("u2", second))
    assert read_ctm(path) == {"u1": first, "u2": [("c", 1.0, 2.0)]}


def test_times_by_forced_alignment_say_so(tmp_path: Path) -> None:
    path = tmp_path / "words.ctm"
    path.write_text(alignment_head("exp/a model") + ctm_lines("u1", [("a", 0.0, 0.5)]))
    assert aligned_by(path) == "exp/a model" and read_ctm(path) == {"u1": [("a", 0.0, 0.5)]}
    for other in (";; made by hand\nu1 1 0 1 a\n", "u1 1 0 1 a\n", ""):
        path.write_text(other)
        assert aligned_by(path) == ""


def test_comments_blanks_and_tabs(tmp_path: Path) -> None:
    path = tmp_path / "words.ctm"
    path.write_text(";; CTM of the set x, made by y z\nu1\t1\t0.1\t0.2\ta\nu1  1  0.30 0.10   b 0.9\n\n")
    assert read_ctm(path) == {"u1": [("a", 0.1, 0.1 + 0.2), ("b", 0.3, 0.3 + 0.1)]}


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ref.ctm"
    with pytest.raises(UserError, match=r"ref\.ctm does not exist"):
        read_ctm(path)
    path.write_text("u1 1 0 1 a\nu1 1 x 1 b\n")
    with pytest.raises(UserError, match=r"ref\.ctm:2"):
        read_ctm(path)
    path.write_bytes(b"u1 1 0.1 0.2 caf\xe9\n")
    with pytest.raises(UserError, match=r"ref.ctm is not UTF-8 \(byte 16\)"):
        read_ctm(path)
