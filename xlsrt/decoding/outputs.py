"""Results on disk: kept line by line while a shard runs, then written in ESPnet's form.

A shard appends one JSON line per utterance to ``logdir/output.N/results.<fingerprint>.jsonl``. A run that was
killed loses at most the batch in hand: complete lines are kept, whatever their shard, and only those of one
fingerprint (model, configuration, set) count. Merging writes the `FILES` of the set, and the same below each
``logdir/output.N/1best_recog`` (``2best_recog`` ... where a decoding hands out more), each through a
temporary file.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xlsrt.ctm import ctm_lines
from xlsrt.errors import UserError
from xlsrt.files import naming, read_lines, write_text
from xlsrt.units import FRAME_SECONDS

FILES = ("text", "token", "token_int", "score", "token_time", "token_prob")
WORDS = "words.ctm"
"""When the words were said and how sure they are, in a set's directory."""
FACTS = "decoding.json"
"""What was decoded how, and how fast."""
WORD_STABLE = "word_stable"
"""Written beside where utterances went through in packets: `read_stable`."""


@dataclass(frozen=True)
class Recognised:
    """The best hypothesis of one utterance.

    Attributes:
        utt: its name.
        text: the words.
        tokens: pieces of the token model.
        token_ids: their numbers.
        frames: start frame of each token (20 ms).
        probs: probability of each token.
        score: logarithmic score of the hypothesis.
        words: (word, start in seconds, end in seconds, confidence).
        stable: for each word the seconds of audio that had been received when its text could not change any
            more; None where whole utterances were decoded.
        audio_seconds: length of the utterance.
        wall_seconds: its share, by length, of the time its batch took.
        others: the next best hypotheses, in order.
    """

    utt: str
    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    frames: tuple[int, ...]
    probs: tuple[float, ...]
    score: float
    words: tuple[tuple[str, float, float, float], ...] = ()
    stable: tuple[float, ...] | None = None
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    others: tuple[Recognised, ...] = ()

    def line(self, file: str) -> str:
        """This utterance's line of one of `FILES` or `WORD_STABLE`; times in seconds."""
        values = {
            "text": self.text.splitlines(),  # a byte piece may say a line break
            "token": list(self.tokens),
            "token_int": [str(i) for i in self.token_ids],
            "score": [f"{self.score:.4f}"],
            "token_time": [f"{frame * FRAME_SECONDS:.2f}" for frame in self.frames],
            "token_prob": [f"{prob:.4f}" for prob in self.probs],
            WORD_STABLE: [f"{seconds:.3f}" for seconds in self.stable or ()],
        }[file]
        return " ".join([self.utt, *values]).rstrip() + "\n"


def shard_dir(output_dir: Path, job: int) -> Path:
    """Directory of shard ``job``, counted from 1."""
    return output_dir / "logdir" / f"output.{job}"


def with_cost(results: Sequence[Recognised], seconds: float) -> list[Recognised]:
    """The results of a batch, each with its share, by length, of the ``seconds`` that the batch took."""
    total = sum(result.audio_seconds for result in results) or 1.0
    return [replace(result, wall_seconds=seconds * result.audio_seconds / total) for result in results]


def kept_results(output_dir: Path, fingerprint: str) -> dict[str, Recognised]:
    """Every utterance that any shard has finished under ``fingerprint``."""
    kept: dict[str, Recognised] = {}
    for path in _result_files(output_dir, fingerprint):
        kept.update({result.utt: result for result in _read(path)})
    return kept


def append_results(output_dir: Path, job: int, fingerprint: str, results: Iterable[Recognised]) -> None:
    """Add finished utterances to a shard's file, safely on disk when this returns.

    Raises:
        UserError: as `naming`.
    """
    path = shard_dir(output_dir, job) / f"results.{fingerprint}.jsonl"
    lines = "".join(json.dumps(asdict(result)) + "\n" for result in results)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_broken_line(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def merge(output_dir: Path, fingerprint: str, utterances: Sequence[str]) -> list[Recognised]:
    """Write the final files in the order of ``utterances`` and drop what belongs to other fingerprints.

    Returns what was written.

    Raises:
        UserError: an utterance has not been decoded.
    """
    kept = kept_results(output_dir, fingerprint)
    missing = [utt for utt in utterances if utt not in kept]
    if missing:
        raise UserError(
            f"{output_dir}: {len(missing)} of {len(utterances)} utterances are not decoded yet "
            f"(first: {missing[0]}); run the decoding again, it continues where it stopped"
        )
    for path in (output_dir / "logdir").glob("output.*/results.*.jsonl"):
        if path.name != f"results.{fingerprint}.jsonl":
            path.unlink()
    for path in (output_dir / "logdir").glob("output.*/*best_recog"):  # of shards that there are no more, too
        shutil.rmtree(path)
    wanted = set(utterances)
    for path in _result_files(output_dir, fingerprint):
        part = {result.utt: result for result in _read(path) if result.utt in wanted}
        _write_ranks(path.parent, [part[utt] for utt in sorted(part)])
    ordered = [kept[utt] for utt in utterances]
    _write(output_dir, ordered)
    return ordered


def is_merged(output_dir: Path, fingerprint: str) -> bool:
    """Whether the final files are there and of this fingerprint."""
    marker = output_dir / "logdir" / "merged"
    there = all((output_dir / name).is_file() for name in (*FILES, WORDS, FACTS))
    return there and marker.is_file() and marker.read_text(encoding="utf-8").strip() == fingerprint


def mark_merged(output_dir: Path, fingerprint: str | None) -> None:
    """Note that the final files are of ``fingerprint``; None takes the note away."""
    marker = output_dir / "logdir" / "merged"
    if fingerprint is None:
        marker.unlink(missing_ok=True)
    else:
        write_text(marker, fingerprint + "\n")


def read_stable(decoded: Path) -> dict[str, list[float]]:
    """For each utterance, for each of its words: the seconds of audio received when it could not change any
    more. Empty where the set was not decoded as streams.

    Raises:
        UserError: the file is damaged.
    """
    path = decoded / WORD_STABLE
    table: dict[str, list[float]] = {}
    for number, line in enumerate(read_lines(path) if path.is_file() else (), 1):
        name, *values = line.split() or [""]
        try:
            seconds = [float(value) for value in values]
            if not all(map(math.isfinite, seconds)):
                raise ValueError("a time is not finite")
        except ValueError as error:
            problem = f"not `<utterance> <seconds> ...` ({error})"
            raise UserError(f"{path}:{number}: {problem}: decode the set again") from None
        if name:
            table[name] = seconds
    return table


def _result_files(output_dir: Path, fingerprint: str) -> list[Path]:
    return sorted((output_dir / "logdir").glob(f"output.*/results.{fingerprint}.jsonl"))


def _read(path: Path) -> list[Recognised]:
    results = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            results.append(_recognised(json.loads(line)))
        except (json.JSONDecodeError, TypeError, AttributeError):
            # The line that was being written when the process was killed: that utterance is decoded again.
            continue
    return results


def _recognised(content: dict[str, Any]) -> Recognised:
    others = tuple(_recognised(other) for other in content.pop("others", ()))
    return Recognised(**{key: _tuples(value) for key, value in content.items()}, others=others)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _end_broken_line(path: Path) -> None:
    """Close a half-written last line, so that the next one does not continue it."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _write_ranks(directory: Path, results: Sequence[Recognised]) -> None:
    """``1best_recog`` with all utterances, ``2best_recog`` ... with those that have so many hypotheses."""
    _write(directory / "1best_recog", results)
    for rank in range(max((len(result.others) for result in results), default=0)):
        ranked = [result.others[rank] for result in results if rank < len(result.others)]
        _write(directory / f"{rank + 2}best_recog", ranked)


def _write(directory: Path, results: Sequence[Recognised]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    streamed = bool(results) and all(result.stable is not None for result in results)
    (directory / WORD_STABLE).unlink(missing_ok=True)
    names = (*FILES, WORD_STABLE) if streamed else FILES
    contents = {name: "".join(result.line(name) for result in results) for name in names}
    contents[WORDS] = "".join(ctm_lines(result.utt, result.words, places=2) for result in results)
    for name, content in contents.items():
        write_text(directory / name, content)
