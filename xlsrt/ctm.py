"""NIST's CTM files: one line for each word, with the time at which it was said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.files import read_lines

WORD_TIMES = "word_times.ctm"
"""In a data directory: when the words of its transcripts were said."""

_ALIGNED = ";; by forced alignment with "

Timed = list[tuple[str, float, float]]
"""Words with start and end in seconds."""


def ctm_lines(
    recording: str,
    words: Iterable[tuple[str, float, float] | tuple[str, float, float, float]],
    places: int = 3,
    confidence_places: int = 4,
) -> str:
    """``<recording> 1 <start> <duration> <word> <confidence>`` lines of one recording.

    Args:
        recording: its name, without blanks.
        words: (word, start, end) in seconds, with a confidence at the end where there is one.
        places, confidence_places: digits after the point, of times and of confidences.
    """
    lines = []
    for word, start, end, *confidence in words:
        known = "".join(f" {value:.{confidence_places}f}" for value in confidence)
        lines.append(f"{recording} 1 {start:.{places}f} {end - start:.{places}f} {word}{known}\n")
    return "".join(lines)


def read_ctm(path: Path) -> dict[str, Timed]:
    """Utterance to words, of NIST's ``<utterance> <channel> <start> <duration> <word> ...`` lines.

    Blanks and tabs separate; ``;;`` begins a comment.

    Raises:
        UserError: the file is missing or malformed.
    """
    table: dict[str, Timed] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        try:
            start, duration = float(fields[2]), float(fields[3])
            table.setdefault(fields[0], []).append((fields[4], start, start + duration))
        except (IndexError, ValueError):
            raise UserError(
                f"{path}:{number}: not `<utterance> <channel> <start> <duration> <word>`: {line!r}"
            ) from None
    return table


def alignment_head(model: str) -> str:
    """The comment on top of a file whose times a model has found; `aligned_by` reads it."""
    return f"{_ALIGNED}{model}\n"


def aligned_by(path: Path) -> str:
    """The model that found a file's times by forced alignment; empty where they are from elsewhere.

    Raises:
        UserError: the file is missing or not UTF-8.
    """
    first = read_lines(path)[0]
    return first.removeprefix(_ALIGNED) if first.startswith(_ALIGNED) else ""
