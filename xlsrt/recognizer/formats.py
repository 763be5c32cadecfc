"""Results as text, JSON, subtitles (SRT, WebVTT) and NIST CTM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from xlsrt.ctm import ctm_lines
from xlsrt.recognizer.result import Result
from xlsrt.text import Word

CUE_SECONDS, CUE_CHARACTERS, CUE_PAUSE = 7.0, 84, 0.8
"""A subtitle ends before it gets longer than this, and at such pauses."""
SHOWN_SECONDS = 0.6
"""A token's time is where it was recognised, so a last word would flash by: it stays at least so long."""


def formatted(name: str, results: Sequence[Result], kind: str) -> str:
    """One recording's segments as text, json, srt, vtt or ctm (``kind``), with a line break at the end."""
    if kind == "text":
        return " ".join(result.text for result in results if result.text) + "\n"
    if kind == "json":
        segments = [result.to_dict() for result in results]
        text = " ".join(result.text for result in results if result.text)
        return json.dumps({"file": name, "text": text, "segments": segments}, ensure_ascii=False) + "\n"
    words = [word for result in results for word in result.words]
    if kind == "ctm":
        timed = [(word.text, word.start, word.end, word.confidence) for word in words]
        return ctm_lines(name.replace(" ", "_"), timed, places=2, confidence_places=3)
    cues = []
    for number, (start, end, text) in enumerate(timed_lines(words), 1):
        if kind == "srt":
            cues.append(f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n")
        else:
            cues.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{escape(text, quote=False)}\n")
    return ("WEBVTT\n\n" if kind == "vtt" else "") + "\n".join(cues)


def timed_lines(words: Sequence[Word]) -> list[tuple[float, float, str]]:
    """Words -> subtitles (start, end, text), in seconds; they overlap only where words of one frame do."""
    lines: list[list[Word]] = []
    for word in words:
        line = lines[-1] if lines else []
        length = sum(len(w.text) + 1 for w in line) + len(word.text)
        fits = line and word.end - line[0].start <= CUE_SECONDS and length <= CUE_CHARACTERS
        if fits and word.start - line[-1].end < CUE_PAUSE:
            line.append(word)
        else:
            lines.append([word])
    cues = []
    for i, line in enumerate(lines):
        start, end = line[0].start, max(line[-1].end, line[0].start + SHOWN_SECONDS)
        if i + 1 < len(lines):
            end = min(end, max(lines[i + 1][0].start, line[-1].end))
        cues.append((start, end, " ".join(word.text for word in line)))
    return cues


def _clock(seconds: float, point: str) -> str:
    millis = round(seconds * 1000)
    hours, millis = divmod(millis, 3_600_000)
    minutes, millis = divmod(millis, 60_000)
    return f"{hours:02d}:{minutes:02d}:{millis // 1000:02d}{point}{millis % 1000:03d}"
