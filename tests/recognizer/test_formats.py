"""Results as documents: subtitles, CTM, text."""

from __future__ import annotations

import itertools

from xlsrt.recognizer import Result
from xlsrt.recognizer.formats import formatted, timed_lines
from xlsrt.search import Hypothesis
from xlsrt.text import Word


def result(*words):
    text = " ".join(word.text for word in words)
    return Result(text, list(words), Hypothesis(), 0.0, 1.0)


HELLO = [Word("hello", 0.5, 0.7, 0.9), Word("wörld", 0.8, 1.0, 0.5), Word("again", 3661.2, 3661.3, 0.25)]


def test_subtitles():
    srt = formatted("f", [result(*HELLO[:2]), result(HELLO[2])], "srt")
    assert srt == (
        "1\n00:00:00,500 --> 00:00:01,100\nhello wörld\n\n2\n01:01:01,200 --> 01:01:01,800\nagain\n"
    )
    vtt = formatted("f", [result(*HELLO)], "vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.100\nhello wörld\n\n01:01:01.200")
    assert formatted("f", [], "srt") == ""
    # To a player of WebVTT "<" begins a tag.
    signs = [result(Word("R&B", 0.0, 0.3, 1.0), Word("<3", 0.4, 0.5, 1.0))]
    assert "R&amp;B &lt;3" in formatted("f", signs, "vtt") and "R&B <3" in formatted("f", signs, "srt")


def test_subtitles_stay_short_and_do_not_overlap():
    words = [Word("ab" * (1 + i % 9), 0.3 * i, 0.3 * i + 0.2, 1.0) for i in range(200)]
    cues = timed_lines(words)
    assert " ".join(text for _, _, text in cues).split() == [word.text for word in words]
    assert all(end - start <= 7.0 and len(text) <= 84 for start, end, text in cues)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(cues))


def test_ctm_and_text():
    assert formatted("a b", [result(*HELLO[:2])], "ctm") == (
        "a_b 1 0.50 0.20 hello 0.900\na_b 1 0.80 0.20 wörld 0.500\n"
    )
    assert formatted("f", [result(HELLO[0]), result(), result(HELLO[1])], "text") == "hello wörld\n"
