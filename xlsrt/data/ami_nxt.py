"""The AMI corpus's NXT annotations: words and segments of each participant of a meeting, cut into utterances.

``words/<meeting>.<agent>.words.xml`` lists words, punctuation and noises with times;
``segments/<meeting>.<agent>.segments.xml`` groups them by reference; ``corpusResources/meetings.xml`` says
who an agent is and which headset they wore. Utterances are sentences, cut as Kaldi's AMI recipe does: at full
stops and question marks, and longer ones at the comma nearest to their middle in time.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xlsrt.errors import UserError

_NITE = "{http://nite.sourceforge.net/}"
_ID = re.compile(r"id\(([^)]+)\)")
_MEETING = re.compile(r"^(EN|ES|IB|IN|IS|TS)\d{4}[a-e]?$")
MAX_WORDS = 30


@dataclass(frozen=True)
class Participant:
    """Someone in a meeting: name in the whole corpus (such as MEE068) and headset channel."""

    name: str
    channel: int


@dataclass(frozen=True)
class Element:
    """A word, a punctuation mark or (``text`` empty) a noise; times in seconds, None where not annotated."""

    text: str
    start: float | None
    end: float | None
    punctuation: bool = False


@dataclass(frozen=True)
class Spoken:
    """An utterance: raw words, and seconds in the meeting."""

    start: float
    end: float
    words: tuple[str, ...]


def _root(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: damaged XML ({error}): unpack the annotations again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): unpack the annotations again") from None


def read_meetings(path: Path) -> dict[str, dict[str, Participant]]:
    """Meeting to agent (A, B ...) to participant, of ``corpusResources/meetings.xml``.

    Raises:
        UserError: the file is damaged, or a channel is no number.
    """
    meetings: dict[str, dict[str, Participant]] = {}
    for meeting in _root(path):
        name = meeting.get("observation", "")
        if not _MEETING.match(name):
            continue
        meetings[name] = {
            speaker.get("nxt_agent", ""): Participant(
                speaker.get("global_name", ""), _channel(path, name, speaker)
            )
            for speaker in meeting
            if speaker.get("global_name")
        }
    return meetings


def _channel(path: Path, meeting: str, speaker: ElementTree.Element) -> int:
    channel = speaker.get("channel", "0")
    if not channel.isdecimal():
        raise UserError(
            f"{path}: {meeting}: the channel of participant {speaker.get('nxt_agent')} is no number: "
            f"'{channel}': unpack the annotations again"
        )
    return int(channel)


def read_words(path: Path) -> dict[str, Element]:
    """All elements of a words file by id, in their order."""
    elements = {}
    for node in _root(path):
        word = node.tag == "w"
        elements[node.get(f"{_NITE}id", "")] = Element(
            " ".join((node.text or "").split()) if word else "",
            _seconds(node.get("starttime")),
            _seconds(node.get("endtime")),
            word and node.get("punc") == "true",
        )
    return elements


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def read_segments(path: Path, words: dict[str, Element]) -> Iterator[tuple[str, float, float, list[Element]]]:
    """Yield id, start and end in seconds and elements of each segment.

    Times are those of its first and last element, as NXT gives them to Kaldi; the transcriber's where these
    have none.
    """
    order = list(words)
    places = {name: place for place, name in enumerate(order)}
    for number, node in enumerate(_root(path)):
        if node.tag != "segment":
            continue
        elements: list[Element] = []
        for child in node:
            ids = _ID.findall(child.get("href", ""))
            if ids and all(name in places for name in ids):
                span = order[places[ids[0]] : places[ids[-1]] + 1]
                elements += [words[name] for name in span]
        starts = [e.start for e in elements if e.start is not None]
        ends = [e.end for e in elements if e.end is not None]
        start = min(starts) if starts else _seconds(node.get("transcriber_start"))
        end = max(ends) if ends else _seconds(node.get("transcriber_end"))
        yield node.get(f"{_NITE}id", f"segment{number}"), start or 0.0, end or 0.0, elements


def cut(start: float, end: float, elements: list[Element], max_words: int = MAX_WORDS) -> list[Spoken]:
    """The sentences of a segment; without words: none."""
    found: list[Spoken] = []
    sentence: list[Element] = []
    for element in elements:
        if element.punctuation and element.text in (".", "?"):
            stop = element.start if element.start is not None else (element.end or end)
            found += _halved(start, stop, sentence, max_words)
            start, sentence = stop, []
        else:
            sentence.append(element)
    return found + _halved(start, end, sentence, max_words)


def _halved(start: float, end: float, elements: list[Element], max_words: int) -> list[Spoken]:
    """A sentence, cut at the comma nearest to its middle while it is longer than ``max_words`` words.

    As in Kaldi its marks count among the words, and it stays whole where a mark that is no comma (! or :) is
    nearest to the middle.
    """
    words = tuple(e.text for e in elements if e.text and not e.punctuation)
    if not words:
        return []
    size = sum(len(e.text.split()) for e in elements)
    marks = [
        (abs(e.start - (start + end) / 2), place, e.start)
        for place, e in enumerate(elements)
        if e.punctuation and e.start is not None and start < e.start < end
    ]
    _, place, time = min(marks, default=(0.0, -1, 0.0))
    if size <= max_words or place < 0 or elements[place].text != ",":
        return [Spoken(start, end, words)]
    left, right = elements[:place], elements[place + 1 :]
    return _halved(start, time, left, max_words) + _halved(time, end, right, max_words)


def kaldi_text(words: tuple[str, ...]) -> str:
    """Capitals without punctuation; spelled letters as ``D. V. D.``, and Kaldi's MM-HMM and UH-HUH."""
    text = " ".join(words).upper()
    text = text.replace("-", " ").replace("_", ". ")
    text = re.sub(r"[^\w'. ]", " ", text)
    # A full stop stands after a spelled letter alone.
    text = re.sub(r"(?<![A-Z])\.|(?<=[A-Z][A-Z])\.", " ", text)
    text = " ".join(word.strip("'") if set(word) == {"'"} else word for word in text.split())
    return text.replace("MM HMM", "MM-HMM").replace("UH HUH", "UH-HUH").strip()


def overlap(one: Spoken, others: list[Spoken]) -> float:
    """Share of an utterance's time, 0 to 1, in which somebody of ``others`` (any order) speaks too."""
    spans = sorted(
        (max(one.start, other.start), min(one.end, other.end))
        for other in others
        if other.start < one.end and other.end > one.start
    )
    covered, reached = 0.0, one.start
    for start, end in spans:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered / (one.end - one.start) if one.end > one.start else 0.0
