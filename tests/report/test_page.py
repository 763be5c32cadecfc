"""The page is whole, loads nothing, and shows what was scored."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.made import browser, make_expdir
from xlsrt.bin.report import main
from xlsrt.ctm import alignment_head
from xlsrt.errors import UserError
from xlsrt.report import streaming
from xlsrt.report.decodings import find_decoded, read_trn
from xlsrt.report.page import write_report
from xlsrt.report.scoring import score_files


@pytest.fixture
def expdir(tmp_path: Path) -> Path:
    return make_expdir(tmp_path)


class Reader(HTMLParser):
    """Checks that elements are closed in order and collects what would be loaded."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "path", "use", "rect", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        named = given.get("alt") or (given.get("role") and given.get("aria-label"))
        self.unnamed += [tag] if tag in ("svg", "img") and not named else []
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_page(expdir: Path) -> None:
    output = expdir / "report" / "index.html"
    write_report(expdir, output)
    page = output.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.open == [] and reader.unnamed == []
    assert len(set(reader.ids)) == len(reader.ids) > 20
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert referred <= set(reader.ids)
    assert 'role="img" aria-label="test: real-time factor"' in page
    caption = page.partition("MB of the cache")[2].partition("</figcaption>")[0]
    assert all(f"</span>{name}" in caption for name in streaming.NAMES)
    assert reader.loads and all(value.startswith(("data:", "#")) for value in reader.loads)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", page)
    assert re.findall(r'<td class="figure bar" style="--part:(\d+)%">([0-9.]+)</td>', page) == [
        ("0", "0.00"), ("100", "50.00"),
    ]  # fmt: skip
    for heading in ("Error rates", "Latency", "Contexts", "Attention", "Training", "Errors"):
        assert f"<h2>{heading}</h2>" in page and f">{heading}</a>" in page
    assert "could not be made" not in page and "asr_small_char_sp_stage5b" in page
    assert "16 sink frames; MB of the cache: XLS-R 300M, float32" in page
    assert "delay of words" in page and "Delays of words" in page
    assert "WER % by language" in page and "WER % by length" in page and "<td>et</td>" in page
    assert "CER % by language" in page and "TER % by" not in page
    assert '<td dir="auto">b</td><td dir="auto">x</td>' in page
    delays = page.partition("Delays of words")[2].partition("</table>")[0]
    assert ">packets (ms)<" in delays and ">chunk and packet mean<" in delays
    assert re.findall(r"<td class=\"figure\">([^<]*)", delays)[:2] == ["320", "-"], "full attention first"
    assert "by speaker" not in page, "one group is no breakdown"
    assert "asr_small_char_sp_stage5b on s-u1 (2.6 s), chunk 640 ms, left 640 ms, 16 sink frames" in page
    data = browser(page)
    first, last = data["decodings"]
    tag = "</script>"
    assert first["utterances"][1]["pairs"] == [
        ["C", "c", "c", 0.1, 0.2, 0.5],
        ["C", tag, tag, 0.2, 0.3, 0.5],
    ]
    assert last["utterances"][0] == {
        "utt": "s-u1",
        "pairs": [["C", "a", "a", 0.1, 0.3, 0.96], ["S", "b", "x", 0.4, 0.5, 1.0]],
    }
    assert last["context"] == [32, 32, 16] and data["chosen"] == 1
    assert set(data["audio"]) == {"test/s-u1", "test/s-u2"} and len(data["waves"]["test/s-u2"]) == 20
    assert data["seconds"]["test/s-u1"] == 2.6 and data["said"] == {"test/s-u1": [[0.05, 0.25], [0.3, 0.45]]}


def test_parts_of_a_set_have_intervals(expdir: Path) -> None:
    data = expdir.parent / "dump/test"
    (data / "utt2lang").unlink()
    (data / "utt2num_samples").write_text("s-u1 41600\ns-u2 8000\ns-u3 8000\n")
    for name in ("text", "utt2spk", "wav.scp"):
        (data / name).write_text(
            (data / name).read_text() + {"text": "s-u3 a b\n"}.get(name, f"s-u3 {data}/u2.wav\n")
        )
    (data / "utt2spk").write_text("s-u1 s\ns-u2 s\ns-u3 s\n")
    for out in expdir.glob("*/*/test"):
        (out / "text").write_text((out / "text").read_text() + "s-u3 a\n")
        score_files(data / "text", out / "text", out)
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    parts = page.partition("WER % by length")[2].partition("</table>")[0]
    # Of u2 and u3 one word of four is wrong; one utterance alone has no interval.
    assert re.findall(r">([0-9.]+ [(][0-9.]+ to [0-9.]+[)])<", parts)[0] == "25.0 (0.0 to 50.0)"
    assert ">50.0<" in parts
    chars = page.partition("CER % by length")[2].partition("</table>")[0]
    assert re.search(r">[0-9.]+ [(][0-9.]+ to [0-9.]+[)]<", chars)


def test_times_by_forced_alignment_are_said(expdir: Path) -> None:
    """They lie below exp/, and the page has them and says whose they are."""
    times = expdir / "asr_small_char_sp_stage1" / "word_times" / "test" / "word_times.ctm"
    times.parent.mkdir(parents=True)
    own = expdir.parent / "dump/test/word_times.ctm"
    times.write_text(alignment_head("exp/asr_small_char_sp_stage1") + own.read_text())
    own.unlink()
    for out in expdir.glob("*/decode*/test"):
        score_files(expdir.parent / "dump/test/text", out / "text", out, word_times=times)
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert browser(page)["said"] == {"test/s-u1": [[0.05, 0.25], [0.3, 0.45]]}
    assert browser(page)["aligned"] == {"test": "exp/asr_small_char_sp_stage1"}
    assert page.count("known from forced alignment with exp/asr_small_char_sp_stage1") == 2
    assert ">aligned<" in page and ">last recognised p50<" in page


def test_a_section_that_fails_is_said_and_the_rest_is_made(
    expdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (
        expdir
        / "asr_small_char_sp_stage5b"
        / "decode_streaming_640ms_beam4_valid.ter.ave"
        / "test"
        / "score_wer"
        / "ref.trn"
    ).write_text("broken\n")
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert "This could not be read and is left out" in page and "ref.trn:1: no (&lt;utterance&gt;)" in page
    assert "Token error rate" in page or "token error rate" in page
    assert "left out" in caplog.text


def test_damaged_facts_leave_the_rest(expdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    sets = sorted(path.parent for path in expdir.glob("*/*/*/decoding.json"))
    assert len(sets) > 1
    (sets[0] / "decoding.json").write_text("{")
    hyp = sets[1] / "score_wer/hyp.trn"
    hyp.write_text("".join(hyp.read_text().splitlines(keepends=True)[1:]))
    write_report(expdir, expdir / "index.html", attention=False)
    assert f"{sets[0]}/decoding.json is damaged" in caplog.text
    assert f"{sets[1]}/score_wer: " in caplog.text and "score the set again" in caplog.text
    assert (expdir / "index.html").read_text().count("is left out") == 2


def test_damaged_transcripts_leave_the_rest(expdir: Path) -> None:
    damaged = sorted(expdir.glob("*/*/*/score_wer/ref.trn"))[0]
    damaged.write_bytes(b"caf\xe9\t(s-s-u1)\n")
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert (
        f"{damaged} is not UTF-8 (byte 3); score the set again" in page
        and ">5b<" not in page.split("<nav>")[0]
    )
    assert len(browser(page)["decodings"]) == 1


def test_decodings_of_different_utterances(expdir: Path) -> None:
    """Another decoding has but one of the two, and stands first."""
    first = sorted(expdir.glob("*/*/test"))[0]
    (first / "text").write_text("s-u2 c d\n")
    (expdir.parent / "part").write_text("s-u2 c d\n")
    score_files(expdir.parent / "part", first / "text", first)
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert "could not be made" not in page
    data = browser(page)
    assert set(data["audio"]) == {"test/s-u1", "test/s-u2"} and set(data["said"]) == {"test/s-u1"}


def test_a_report_is_made_in_another_folder(
    expdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for facts in expdir.glob("*/*/*/decoding.json"):
        facts.write_text(json.dumps({**json.loads(facts.read_text()), "data_dir": "dump/test"}))
    (tmp_path / "link").symlink_to(expdir)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for way in (expdir, Path("../exp"), Path("../link")):
        write_report(way, tmp_path / "index.html", attention=False)
        page = (tmp_path / "index.html").read_text()
        assert set(browser(page)["audio"]) == {"test/s-u1", "test/s-u2"} and "WER % by language" in page, way
    (tmp_path / "dump").rename(tmp_path / "gone")
    write_report(expdir, tmp_path / "index.html", attention=False)
    assert browser((tmp_path / "index.html").read_text())["audio"] == {}


def test_few_utterances_are_said_to_be_few(expdir: Path, tmp_path: Path) -> None:
    write_report(expdir, expdir / "index.html", attention=False)
    page = (expdir / "index.html").read_text()
    assert "2 utterances are few: intervals and p are rough" in page
    (tmp_path / "text").write_text("".join(f"u{n} a\n" for n in range(30)))
    out = tmp_path / "other" / "asr_x_stage5b" / "decode_own" / "test"
    out.mkdir(parents=True)
    score_files(tmp_path / "text", tmp_path / "text", out)
    write_report(tmp_path / "other", tmp_path / "index.html", attention=False)
    assert "are few" not in (tmp_path / "index.html").read_text()


def test_a_set_of_empty_references_is_shown(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("u1\nu2\n")
    out = (
        tmp_path / "exp" / "asr_small_char_sp_stage5b" / "decode_streaming_640ms_beam4_valid.ter.ave" / "test"
    )
    out.mkdir(parents=True)
    (out / "text").write_text("u1 a\nu2\n")
    (out / "decoding.json").write_text(
        '{"context": {"chunk_ms": 640, "left_ms": 640}, "real_time_factor": 0.1}'
    )
    score_files(tmp_path / "text", out / "text", out)
    write_report(tmp_path / "exp", tmp_path / "index.html", attention=False)
    page = (tmp_path / "index.html").read_text()
    assert ">inf</td>" in page and browser(page)["decodings"][0]["utterances"][0]["pairs"][0][0] == "I"
    assert "<h2>Contexts</h2>" in page


def test_confusions(expdir: Path) -> None:
    worst = find_decoded(expdir)[-1]
    assert worst.confusions() == [("</script>", "", 1), ("b", "x", 1)]


def test_names_that_end_with_other_names(tmp_path: Path) -> None:
    """Speaker s-2 says 1, speaker t says 2-1: s-2-1 ends with both."""
    data, out = tmp_path / "data", tmp_path / "exp" / "asr_x_stage5b" / "decode_own" / "test"
    data.mkdir()
    out.mkdir(parents=True)
    (data / "text").write_text("1 a b\n2-1 c d\n")
    (data / "utt2spk").write_text("1 s-2\n2-1 t\n")
    (out / "text").write_text("1 a b\n2-1 x y\n")
    score_files(data / "text", out / "text", out)
    said: list[str] = []
    assert find_decoded(tmp_path / "exp", said) == []
    assert "s-2-1 and t-2-1 may both be of utterance 2-1" in said[0]
    (out / "decoding.json").write_text(json.dumps({"data_dir": str(data)}))
    (decoded,) = find_decoded(tmp_path / "exp")
    assert {utt: a.counts.errors for utt, a in decoded.alignments.items()} == {"1": 0, "2-1": 2}


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither training curves nor scores"):
        write_report(tmp_path / "exp", tmp_path / "index.html")
    with pytest.raises(UserError, match=r"--expdir .*typo: there is no such folder"):
        main(["--expdir", str(tmp_path / "typo")])
    assert not (tmp_path / "typo").exists()


def test_trn_names(tmp_path: Path) -> None:
    (tmp_path / "x.trn").write_text("a (b) c\t(s-u)\n\n\t(s-talk_(1))\nd\t(s-song_(1))\n")
    wanted = {"s-u": ["a", "(b)", "c"], "s-talk_(1)": [], "s-song_(1)": ["d"]}
    assert read_trn(tmp_path / "x.trn") == wanted
