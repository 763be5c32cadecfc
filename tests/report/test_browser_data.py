"""What the error browser is given: sound, times of words, texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.made import browser, make_expdir
from xlsrt.decoding.outputs import read_stable
from xlsrt.errors import UserError
from xlsrt.report.browser import word_times
from xlsrt.report.page import write_report
from xlsrt.report.scoring import score_files


@pytest.fixture
def expdir(tmp_path: Path) -> Path:
    return make_expdir(tmp_path)


def test_sound_stays_within_its_budget(expdir: Path) -> None:
    output = expdir / "index.html"
    write_report(expdir, output, audio_megabytes=0.0, attention=False)
    page = output.read_text()
    assert (
        browser(page)["audio"] == {} and "0 of 2 can be heard, those with most errors first; --audio" in page
    )
    # Room for one: the utterance with more errors is the one that is heard.
    write_report(expdir, output, audio_megabytes=0.0045, attention=False)
    assert set(browser(output.read_text())["audio"]) == {"test/s-u2"}
    assert "1 of 2 can be heard, those with most errors first; --audio_" in output.read_text()
    write_report(expdir, output, attention=False)
    assert "2 of 2 can be heard." in output.read_text()


def test_sound_that_is_gone_leaves_the_page(expdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (expdir.parent / "dump" / "test" / "u1.wav").unlink()
    write_report(expdir, expdir / "index.html", attention=False)
    assert browser((expdir / "index.html").read_text())["audio"] == {}
    assert "no sound of test" in caplog.text


@pytest.mark.parametrize("content", [b"no sound", None])
def test_sound_that_cannot_be_read_is_named_and_the_rest_is_heard(
    expdir: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    data = expdir.parent / "dump" / "test"
    (data / "utt2num_samples").write_text("s-u1 41600\ns-u2 8000\n")
    (data / "u1.wav").unlink()  # comes first
    if content is not None:
        (data / "u1.wav").write_bytes(content)
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert set(browser(page)["audio"]) == {"test/s-u2"} and browser(page)["unread"] == ["test/s-u1"]
    assert "1 of 2 can be heard. The sound of 1 cannot be read: test/s-u1." in page
    assert "no sound of test/s-u1" in caplog.text and "utterance s-u1" in caplog.text


def test_damaged_word_times_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "words.ctm"
    assert word_times(path) == {}
    path.write_text("u1 1 0.1 0.2 a\nu1 1 0.30 0.10 b 0.9\n")
    assert word_times(path) == {"u1": [[0.1, 0.3], [0.3, 0.4]]}
    path.write_bytes(b"u1 1 0.1 0.2 caf\xe9\n")
    assert word_times(path) == {} and "no times of words" in caplog.text


@pytest.mark.parametrize("cell", ["o.5", "nan"])
def test_damaged_stable_times_are_none(expdir: Path, cell: str, caplog: pytest.LogCaptureFixture) -> None:
    damaged = sorted(expdir.glob("*/*/*/word_stable"))[0]
    damaged.write_text(damaged.read_text().replace("0.5", cell, 1))
    with pytest.raises(UserError, match=f"{damaged}:2: not .*: decode the set again"):
        read_stable(damaged.parent)
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert "could not be made" not in page and f"{damaged}:2: " in caplog.text
    first, other = (decoding["utterances"] for decoding in browser(page)["decodings"])
    assert [pair[5] for row in first for pair in row["pairs"]] == [None] * 4
    assert other[0]["pairs"][0][3:] == [0.1, 0.3, 0.96]


def test_text_that_opens_a_script_stays_text(tmp_path: Path) -> None:
    out = tmp_path / "exp" / "asr_x_stage5b" / "decode_own" / "test"
    out.mkdir(parents=True)
    (tmp_path / "text").write_text("u1 <!-- <script> a\n")
    (out / "text").write_text("u1 <!-- <script> b\n")
    score_files(tmp_path / "text", out / "text", out)
    write_report(tmp_path / "exp", tmp_path / "index.html", attention=False)
    page = (tmp_path / "index.html").read_text()
    assert "<!--" not in page
    assert browser(page)["decodings"][0]["utterances"][0]["pairs"][0][:3] == ["C", "<!--", "<!--"]
