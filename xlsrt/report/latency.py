"""How long words take: from their end in the audio to the packet after which a stream had them for good.

Four delays, all in milliseconds of audio (the computer's own time is the real-time factor's matter):

* algorithmic: what chunks and packets cost before any model is asked. A moment of the audio waits for the end
  of its chunk, 5 ms for the last window, and for the packet that brings them.
* token: from the end of a word to the end of the frame at which the model emitted its last token. This is
  what FastEmit and the delay penalty change; it may be negative.
* emission: from the end of a word to the packet after which its tokens could not change any more. This is
  what a user waits for.
* last recognised: from the end of the last word said to the packet after which the last word of the
  hypothesis stood, whether it is right or not. Negative where the words at the end were missed: it is no
  delay of the result. That is final with the end of the audio, which says how long the recording is silent at
  its end and nothing of the recogniser, so it is not measured here.

Words that were recognised wrongly have no counterpart and do not count, except for the last recognised.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlsrt.context import FRAME_MS, WINDOW_TAIL_MS, AttentionContext
from xlsrt.ctm import aligned_by, read_ctm
from xlsrt.decoding.outputs import WORD_STABLE, WORDS, read_stable
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.report.edits import align
from xlsrt.report.score_json import NAME as SCORE

log = logging.getLogger(__name__)

FILE = "latency.json"
HEADER = ("dataset", "algorithmic mean", "most", "words", "emission mean", "p50", "p90", "token mean", "p50",
          "p90", "first word p50", "last word p50", "last recognised p50", "p90", "word times")  # fmt: skip
RENAMED = {"final": "last_recognised"}
"""Fields of a latency.json that an earlier version wrote, and their names now."""


@dataclass(frozen=True)
class Spread:
    """Delays of ``count`` words in milliseconds: mean, median, 90th percentile; None where there are none."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Of delays in seconds."""
        if not seconds:
            return cls(0, None, None, None)
        ms = sorted(1000 * value for value in seconds)
        values = (sum(ms) / len(ms), percentile(ms, 0.5), percentile(ms, 0.9))
        return cls(len(ms), *(round(value, 1) for value in values))


@dataclass(frozen=True)
class Latency:
    """The delays of one decoded set.

    Attributes:
        algorithmic_mean_ms, algorithmic_max_ms: see `algorithmic`; None in full attention.
        packet_ms: length of the packets. words: words of the reference.
        emission, token: of every word recognised rightly. first_word, last_word: ``emission`` of the words
            that begin and end an utterance.
        last_recognised: of each utterance in which a word was recognised; None where it was not measured yet.
        word_times: the file that says when the words were said. aligned_by: the model that found it out by
            forced alignment; empty where it is known.
    """

    algorithmic_mean_ms: float | None
    algorithmic_max_ms: float | None
    packet_ms: float
    words: int
    emission: Spread
    token: Spread
    first_word: Spread
    last_word: Spread
    last_recognised: Spread | None = None
    word_times: str = ""
    aligned_by: str = ""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Latency:
        """The inverse of ``asdict``; also of what it made when fields were `RENAMED`."""
        values: dict[str, Any] = {
            RENAMED.get(k, k): Spread(**v) if isinstance(v, Mapping) else v for k, v in content.items()
        }
        return cls(**values)

    def row(self) -> tuple[str, ...]:
        """The figures as `HEADER` names them, without the dataset."""
        spreads = [v for s in (self.emission, self.token) for v in (s.mean, s.p50, s.p90)]
        ending = self.last_recognised or Spread.of(())
        ends = [self.first_word.p50, self.last_word.p50, ending.p50, ending.p90]
        heads = (_cell(self.algorithmic_mean_ms), _cell(self.algorithmic_max_ms))
        source = "aligned" if self.aligned_by else "given"
        return (*heads, f"{self.emission.count} of {self.words}", *map(_cell, [*spreads, *ends]), source)


def algorithmic(context: AttentionContext, packet_ms: float) -> tuple[float, float]:
    """Mean and longest wait in ms of a moment of the audio for the packet that completes its chunk.

    Infinite in full attention.
    """
    if context.chunk_frames is None:
        return math.inf, math.inf
    chunk = context.chunk_frames * FRAME_MS
    # Chunks and packets drift against each other and come round together after at most so many chunks.
    period = 1000 if packet_ms != int(packet_ms) else math.lcm(chunk, int(packet_ms)) // chunk
    starts = [number * chunk for number in range(period)]
    waits = [math.ceil((s + chunk + WINDOW_TAIL_MS) / packet_ms) * packet_ms - s for s in starts]
    return sum(waits) / period - chunk / 2, max(waits)


def was_streamed(decoded: Path) -> bool:
    """Whether a set was decoded as streams, so that its words have delays."""
    return (decoded / WORD_STABLE).is_file()


def measure(decoded: Path, word_times: Path) -> Latency:
    """The delays of a set decoded in streaming mode.

    Args:
        decoded: what ``asr_decode`` wrote. word_times: when the reference's words were said, a CTM file.

    Raises:
        UserError: a file is missing or malformed, or the set was not decoded as streams.
    """
    if not was_streamed(decoded):
        raise UserError(f"{decoded} has no {WORD_STABLE}: decode the set with `mode: streaming`")
    facts = json.loads((decoded / "decoding.json").read_text(encoding="utf-8"))
    said, found = read_ctm(word_times), read_ctm(decoded / WORDS)
    emission, token, first, last, ending, total = [], [], [], [], [], 0
    for utt, stable in read_stable(decoded).items():
        refs, hyps = said.get(utt, []), found.get(utt, [])
        if len(hyps) != len(stable):
            raise UserError(f"{decoded}: {WORDS} and {WORD_STABLE} differ at {utt}; decode the set again")
        total += len(refs)
        if refs and stable:
            ending.append(max(stable) - refs[-1][2])
        for ref, hyp in matches([w for w, _, _ in refs], [w for w, _, _ in hyps]):
            end, delay = refs[ref][2], stable[hyp] - refs[ref][2]
            emission.append(delay)
            token.append(hyps[hyp][2] - end)
            if ref == 0:
                first.append(delay)
            if ref == len(refs) - 1:
                last.append(delay)
    if not total:
        raise UserError(f"{word_times} has no utterance of {decoded}")
    waits = algorithmic(AttentionContext.from_dict(facts["context"]), facts["packet_ms"])
    known = [round(wait, 1) if math.isfinite(wait) else None for wait in waits]
    return Latency(
        known[0], known[1], facts["packet_ms"], total,
        emission=Spread.of(emission), token=Spread.of(token), first_word=Spread.of(first),
        last_word=Spread.of(last), last_recognised=Spread.of(ending),
        word_times=str(word_times), aligned_by=aligned_by(word_times),
    )  # fmt: skip


def matches(ref: Sequence[str], hyp: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the words that both have, after alignment with the fewest errors."""
    pairs, r, h = [], 0, 0
    for kind, _, _ in align(ref, hyp).pairs:
        if kind == "C":
            pairs.append((r, h))
        r += kind != "I"
        h += kind != "D"
    return pairs


def write_latency(decoded: Path, word_times: Path) -> Latency:
    """`measure`, kept as ``<decoded>/latency.json``."""
    found = measure(decoded, word_times)
    write_text(decoded / FILE, json.dumps(asdict(found), indent=1) + "\n")
    return found


def read_latency(decoded: Path) -> Latency | None:
    """What `write_latency` kept, or None."""
    path = decoded / FILE
    try:
        return Latency.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it and score the set again") from None


def known_latency(decoded: Path) -> Latency | None:
    """`read_latency`, where a damaged file is named in the log and counts as none."""
    try:
        return read_latency(decoded)
    except UserError as error:
        log.warning("left out: %s", error)
        return None


def latency_rows(model_dir: Path) -> list[tuple[str, ...]]:
    """A row of `HEADER` for each scored ``<model_dir>/<decoding>/<dataset>`` whose delays are known."""
    rows = []
    for path in sorted(model_dir.glob(f"*/*/{FILE}"), key=lambda p: (p.parts[-2], p.parts[-3])):
        # Where scoring failed, delays are of other hypotheses than those that were to be scored.
        scored = (path.parent / "score_wer" / SCORE).is_file()
        if scored and (found := known_latency(path.parent)) is not None:
            rows.append((f"{path.parts[-3]}/{path.parts[-2]}", *found.row()))
    return rows


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of sorted ones lie; linear between the two nearest."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
