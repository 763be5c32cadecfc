"""The page in a real browser: no complaint, no request, everything that can be clicked works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.chromium import Page, chromium, find_chromium
from tests.report.faults import SIZES, faults
from tests.report.made import make_expdir
from xlsrt.context import AttentionContext
from xlsrt.report.elements import table
from xlsrt.report.page import write_report

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    expdir = make_expdir(tmp_path_factory.mktemp("page"))
    write_report(expdir, expdir / "index.html")
    return expdir / "index.html"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("device", SIZES)
def test_nothing_is_requested_and_nothing_complains(page: Page, html: Path, device: str) -> None:
    found, lengths = faults(page, html, SIZES[device])
    assert found == []
    assert len(lengths) == 2 and min(lengths) > 0.4


def test_every_player_is_tried(page: Page, html: Path, tmp_path: Path) -> None:
    """Also those without errors, which are not listed at first, and those that "Show more" brings."""
    text = html.read_text(encoding="utf-8")
    _, opening, rest = text.partition('<script type="application/json" id="errors">')
    store, closing, _ = rest.partition("</script>")
    data = json.loads(store)
    for number in range(25):
        for decoding in data["decodings"]:
            pairs = [["C", "a", "a", 0.1, 0.2, 0.5]]
            decoding["utterances"].append({"utt": f"t-{number:02}", "pairs": pairs})
        data["audio"][f"test/t-{number:02}"] = data["audio"]["test/s-u2"]
    many = tmp_path / "index.html"
    for last, wrong in ((data["audio"]["test/s-u2"], []), ("data:audio/wav;base64,AAAA", [26])):
        data["audio"]["test/t-24"] = last
        written = json.dumps(data).replace("<", "\\u003c")
        many.write_text(text.replace(opening + store + closing, opening + written + closing), "utf-8")
        found, lengths = faults(page, many, SIZES["desktop"])
        assert len(lengths) == 27
        assert [fault for fault in found if "player" in fault] == [f"player {n} does not play" for n in wrong]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("<a href='#nowhere'>x</a>", "link #nowhere leads nowhere"),
        ("<script>console.error('broken')</script>", "console: .*broken"),
        ("<img src='gone.png'>", "a picture does not show"),
        ("<audio src='data:audio/wav;base64,AAAA'></audio>", "player 2 does not play"),
        ("<script src='other.js'></script>", "request: file:.*other.js"),
        ("<div style='width: 3000px'>x</div>", "the page is .* wide"),
    ],
)
def test_faults_are_found(page: Page, html: Path, tmp_path: Path, more: str, said: str) -> None:
    worse = tmp_path / "index.html"
    worse.write_text(html.read_text(encoding="utf-8").replace("</body>", f"{more}</body>"), encoding="utf-8")
    found, _ = faults(page, worse, SIZES["desktop"])
    assert any(re.search(said, fault) for fault in found), found


def test_a_word_is_played_and_shown(page: Page, html: Path) -> None:
    page.open(html, *SIZES["desktop"])
    page.run(
        "new Promise((done) => { const player = document.querySelector('.utterance audio');"
        "player.ontimeupdate = () => player.currentTime > 0.31 && done();"
        "document.querySelector('.pair.seek').click(); })"
    )

    def marked(seconds: float) -> list[str]:
        """The words that are marked there; in a playing file the answer depends on when it is asked."""
        return page.run(
            "new Promise((done) => { const player = document.querySelector('.utterance audio');"
            f"player.pause(); player.ontimeupdate = () => Math.abs(player.currentTime - {seconds}) < 0.01 &&"
            "done([...document.querySelectorAll('.utterance .pair.now')].map((pair) => pair.textContent));"
            f"player.currentTime = {seconds}; }})"
        )

    first, second = marked(0.2), marked(0.5)  # "a" from 0.1 to 0.3 s, what was heard for "b" from 0.4 s on
    assert len(first) == len(second) == 1 and "a" in first[0] and "b" in second[0]
    assert not marked(0.35)
    # "a" ended at 0.25 s and stood at 0.96 s; the other word of this utterance is wrong.
    assert page.run("document.querySelector('.utterance .pair').title") == "stood 0.71 s after it was said"
    assert "words stand after 0.71 s" in page.run("document.querySelector('.utterance .head').textContent")
    drawn = page.run(
        "(() => { const canvas = document.querySelector('canvas');"
        "const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "return data.reduce((sum, value) => sum + value, 0); })()"
    )
    assert drawn > 0


def test_words_recognised_in_one_moment_do_not_cover_each_other(page: Page, html: Path) -> None:
    page.open(html, *SIZES["phone"])
    assert page.run("placeLabels([[0, 20], [0, 10], [100, 30]])") == [0, 24, 100]
    # what would stand far from its mark is left out, and takes no room
    assert page.run("placeLabels([[10, 50], [10, 9], [12, 9], [64, 9]])") == [10, None, None, 64]
    assert page.run("placeLabels([])") == []


def test_search_filter_and_order(page: Page, html: Path) -> None:
    page.open(html, *SIZES["phone"])
    count = "document.getElementById('count').textContent"
    assert page.run(count) == "2 of 2 utterances"

    def choose(name: str, value: str, event: str = "change") -> str:
        page.run(
            f"(() => {{ const node = document.getElementById('{name}'); node.value = '{value}';"
            f"node.dispatchEvent(new Event('{event}')); }})()"
        )
        return page.run(count)

    # "a b" was recognised as "a x"; no one said or recognised "b x".
    for phrase, wanted in (("A  b", 1), ("a x", 1), ("b x", 0), ("", 2)):
        assert choose("words", phrase, "input") == f"{wanted} of 2 utterances", phrase
    assert choose("kind", "S") == "1 of 2 utterances"
    assert choose("kind", "I") == "0 of 2 utterances"
    assert choose("kind", "all") == "2 of 2 utterances"
    assert choose("words", "U2", "input") == "1 of 2 utterances"
    assert choose("choice", "0") == "1 of 2 utterances"
    assert "no sound" not in page.run("document.getElementById('list').textContent")
    assert page.run("document.querySelector('.utterance .head').textContent").startswith("s-u2")


def test_what_cannot_be_heard_is_said(page: Page, html: Path, tmp_path: Path) -> None:
    other = tmp_path / "index.html"
    text = html.read_text(encoding="utf-8").replace('"test/s-u1":"data:audio', '"test/gone":"data:audio')
    other.write_text(text, encoding="utf-8")
    page.open(other, *SIZES["desktop"])
    heads = "[...document.querySelectorAll('.utterance .head')].map((head) => head.textContent)"
    assert sorted("no sound" in head for head in page.run(heads)) == [False, True]


def test_tables_are_sorted_by_a_click(page: Page, html: Path) -> None:
    page.open(html, *SIZES["desktop"])
    column = "[...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[2].textContent)"
    for expected in (["0.00", "50.00"], ["50.00", "0.00"]):
        page.run("document.querySelectorAll('table th')[2].click()")
        assert page.run(column) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["5b", "5a", "4", "5d"], ["4", "5a", "5b", "5d"]),
        (["<0.001", "", "0.5", "-", "0.02"], ["<0.001", "0.02", "0.5", "", "-"]),
        (["10.0 to 11.0", "9.5 to 12.0"], ["9.5 to 12.0", "10.0 to 11.0"]),
        (["120 of 200", "99 of 200"], ["99 of 200", "120 of 200"]),
        (["inf", "100.0", "-3"], ["-3", "100.0", "inf"]),
        (
            ["12.0 (9.0 to 15.0)", "9.5 (1.0 to 20.0)", "10.5"],
            ["9.5 (1.0 to 20.0)", "10.5", "12.0 (9.0 to 15.0)"],
        ),
        (["stream_1280ms", "stream_320ms"], ["stream_320ms", "stream_1280ms"]),
    ],
)
def test_order_of_cells(page: Page, html: Path, given: list[str], expected: list[str]) -> None:
    page.open(html, *SIZES["desktop"])
    assert page.run(f"{given}.sort((a, b) => sortOrder(sortValue(a), sortValue(b)))") == expected


def test_the_keyboard_reaches_everything(page: Page, html: Path) -> None:
    page.open(html, *SIZES["desktop"])

    def press(key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            page.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    page.run("document.querySelectorAll('table th button')[2].focus()")
    press("Enter", 13)
    assert page.run("document.querySelectorAll('table th')[2].ariaSort") == "ascending"
    chip = "document.querySelector('.utterance .pair.seek')"
    page.run(f"{chip}.focus()")
    assert page.run(f"document.activeElement === {chip}")
    assert page.run(f"[{chip}.getAttribute('role'), {chip}.ariaLabel]") == ["button", "a heard as a: play"]
    # The recording lasts half a second: asked afterwards, on a busy machine, it would have ended already.
    page.run("document.querySelector('audio').onplay = () => { window.played = true; }")
    press("Enter", 13)
    assert page.run("new Promise((done) => setTimeout(() => done(window.played === true), 100))")
    canvas = "document.querySelector('canvas')"
    assert page.run(f"{canvas}.getAttribute('role')") == "img" and "s-u" in page.run(f"{canvas}.ariaLabel")


def test_words_from_right_to_left(page: Page, html: Path, tmp_path: Path) -> None:
    hebrew = tmp_path / "index.html"
    text = html.read_text(encoding="utf-8").replace(
        '["C","a","a"', '["C","\u05e9\u05dc\u05d5\u05dd","\u05e9\u05dc\u05d5\u05dd"'
    )
    hebrew.write_text(text, encoding="utf-8")
    page.open(hebrew, *SIZES["desktop"])
    places = "[...document.querySelector('.words').children].map((pair) => pair.getBoundingClientRect().x)"
    first, second = page.run(places)
    assert first > second
    page.open(html, *SIZES["desktop"])
    first, second = page.run(places)
    assert first < second


def test_nothing_is_lost_on_paper(page: Page, html: Path, tmp_path: Path) -> None:
    """A4 upright within Chromium's margins is 718 CSS pixels wide."""
    names = [f"{stage} streaming_640ms_ngram" for stage in range(24)]
    wide = table(["speaker", "words", *names], [["te000", "123", *["33.9"] * 24]], 1)
    paper = tmp_path / "index.html"
    paper.write_text(
        html.read_text(encoding="utf-8").replace('<div class="wide">', f"{wide}<div class='wide'>", 1),
        encoding="utf-8",
    )
    page.open(paper, *SIZES["desktop"])
    shape = (
        "(() => { const { width, height } = document.querySelector('canvas').getBoundingClientRect();"
        "return width / height; })()"
    )
    drawn = page.run(shape)
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        page.call(
            "Emulation.setDeviceMetricsOverride", width=718, height=1000, deviceScaleFactor=1, mobile=False
        )
        page.run("document.querySelectorAll('details').forEach((part) => part.open = true)")
        widths = page.run(
            "[...document.querySelectorAll('table')].map((t) => t.getBoundingClientRect().right)"
        )
        assert max(widths) <= 718
        assert page.run("document.querySelector('th button').getBoundingClientRect().height") > 5
        assert page.run(shape) == pytest.approx(drawn, rel=0.02)
    finally:
        page.call("Emulation.setEmulatedMedia", media="")


def test_print(page: Page, html: Path) -> None:
    page.open(html, *SIZES["desktop"])
    assert page.run("document.querySelectorAll('details[open]').length") == 0
    assert page.pdf().startswith(b"%PDF")
    assert page.run("document.querySelectorAll('details:not([open])').length") == 0


@pytest.mark.parametrize(
    "context", [AttentionContext(4, 3, 2), AttentionContext(4, None, 0), AttentionContext.full()], ids=str
)
def test_what_the_page_shows_as_seen_is_the_rule(page: Page, html: Path, context: AttentionContext) -> None:
    page.open(html, *SIZES["desktop"])
    frames = 22
    numbers = ["null" if n is None else str(n) for n in (context.chunk_frames, context.left_frames)]
    rule = f"[{numbers[0]}, {numbers[1]}, {context.sink_frames}]"
    for q in range(frames):
        spans = page.run(f"visibleSpans({rule}, {q}, {frames})")
        seen = {k for first, beyond, _ in spans for k in range(round(first / 0.02), round(beyond / 0.02))}
        assert seen == {k for k in range(frames) if context.visible(q, k)}, q
