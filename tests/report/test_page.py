"""The page is whole, loads nothing, and shows what was scored."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.errors import UserError
from xlsrt.report.decodings import find_decoded, read_trn
from xlsrt.report.page import write_report
from xlsrt.report.scoring import score_files

HYPS = {"asr_1_stage1": "s-u1 a b\ns-u2 c </script>\n", "asr_1_stage5b": "s-u1 a x\ns-u2 c\n"}


@pytest.fixture
def expdir(tmp_path: Path) -> Path:
    """Two models, each with one decoding, curves and recorded noise."""
    from torch.utils.tensorboard import SummaryWriter

    data = tmp_path / "dump" / "test"
    data.mkdir(parents=True)
    (data / "text").write_text("s-u1 a b\ns-u2 c </script>\n")
    (data / "utt2spk").write_text("s-u1 s\ns-u2 s\n")
    (data / "utt2lang").write_text("s-u1 en\ns-u2 et\n")
    (data / "wav.scp").write_text("".join(f"s-{u} {data / u}.wav\n" for u in ("u1", "u2")))
    for seed, name in enumerate(("u1", "u2")):
        samples = np.random.default_rng(seed).normal(0, 0.1, 8000)
        soundfile.write(data / f"{name}.wav", samples, 16000)
    contexts = [
        {"chunk_ms": None, "left_ms": "all", "sink_frames": 0},
        {"chunk_ms": 640, "left_ms": 640, "sink_frames": 16},
    ]
    for (model, hyp), context in zip(HYPS.items(), contexts, strict=True):
        out = tmp_path / "exp" / model / "decode_x" / "test"
        out.mkdir(parents=True)
        (out / "text").write_text(hyp)
        (out / "words.ctm").write_text("s-u1 1 0.10 0.20 a 0.9\ns-u1 1 0.40 0.10 b 0.8\n")
        facts = {"context": context, "data_dir": str(data), "real_time_factor": 0.01}
        (out / "decoding.json").write_text(json.dumps(facts))
        score_files(data / "text", out / "text", out)
        with SummaryWriter(str(tmp_path / "exp" / model / "tensorboard" / "valid")) as writer:
            for step in (10, 20):
                writer.add_scalar("ter", 1 / step, step)
    return tmp_path / "exp"


class Reader(HTMLParser):
    """Checks that elements are closed in order and collects what would be loaded."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "path", "use", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
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


def browser(page: str) -> dict:
    match = re.search(r'<script type="application/json" id="errors">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def test_page(expdir: Path) -> None:
    output = expdir / "report" / "index.html"
    write_report(expdir, output)
    page = output.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.loads and all(value.startswith(("data:", "#")) for value in reader.loads)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", page)
    assert "<td class=figure>50.00</td>" in page and "<td class=figure>0.00</td>" in page
    for heading in ("Error rates", "Error rate and latency", "Contexts", "Training", "Errors"):
        assert f"<h2>{heading}</h2>" in page
    assert "could not be made" not in page and "stage 5b" in page
    assert "WER % by language" in page and "<th class=figure>et</th>" in page
    assert "by length" not in page, "one group is no breakdown"
    data = browser(page)
    first, last = data["decodings"]
    assert first["utterances"][1]["pairs"] == [["C", "c", "c", None], ["C", "</script>", "</script>", None]]
    assert last["utterances"][0] == {"utt": "s-u1", "pairs": [["C", "a", "a", 0.1], ["S", "b", "x", 0.4]]}
    assert set(data["audio"]) == {"test/s-u1", "test/s-u2"}


def test_sound_stays_within_its_budget(expdir: Path) -> None:
    output = expdir / "index.html"
    write_report(expdir, output, audio_megabytes=0.0)
    assert browser(output.read_text())["audio"] == {}
    # Room for one: the utterance with more errors is the one that is heard.
    write_report(expdir, output, audio_megabytes=0.0045)
    assert len(browser(output.read_text())["audio"]) == 1


def test_a_section_that_fails_is_said_and_the_rest_is_made(
    expdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (expdir / "asr_1_stage5b" / "decode_x" / "test" / "score_wer" / "ref.trn").write_text("broken\n")
    write_report(expdir, expdir / "index.html")
    page = (expdir / "index.html").read_text()
    assert "This part could not be made" in page and "ref.trn:1: no (&lt;utterance&gt;)" in page
    assert "Token error rate" in page or "token error rate" in page
    assert "left out" in caplog.text


def test_sound_that_is_gone_leaves_the_page(expdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (expdir.parent / "dump" / "test" / "u1.wav").unlink()
    write_report(expdir, expdir / "index.html")
    assert browser((expdir / "index.html").read_text())["audio"] == {}
    assert "no sound of test" in caplog.text


def test_confusions(expdir: Path) -> None:
    worst = find_decoded(expdir)[-1]
    assert worst.confusions() == [("</script>", "", 1), ("b", "x", 1)]


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither training curves nor scores"):
        write_report(tmp_path / "exp", tmp_path / "index.html")


def test_trn_names(tmp_path: Path) -> None:
    (tmp_path / "x.trn").write_text("a (b) c\t(s-u)\n\n")
    assert read_trn(tmp_path / "x.trn") == {"s-u": ["a", "(b)", "c"]}
