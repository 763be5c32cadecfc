"""Write a data directory from utterances in any order, in bounded memory; account for each one left out."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import shutil
import time
from collections import Counter
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from xlsrt.data.external_sort import ExternalSorter, write_groups
from xlsrt.data.kaldi import Utterance
from xlsrt.data.set_tables import replace_tables
from xlsrt.data.validate import audio_file_problem
from xlsrt.errors import UserError
from xlsrt.files import atomic_open

log = logging.getLogger(__name__)

DROPPED = "dropped"
RECORDINGS = 10_000
"""Of so many that are cut by segments it is remembered what was found out: more would fill the memory."""
_BLANKS = re.compile(r"\s+")
_NEWS_SECONDS = 10.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def safe_id(text: str) -> str:
    """A name as part of an id: blanks become underscores."""
    return _BLANKS.sub("_", text.strip())


class SetWriter:
    """Collects utterances and writes them, sorted, when its ``with`` block ends without an error.

    A set that stands under its name is replaced then, so a killed run leaves the old one. What is left out is
    listed in ``dropped``: ``<utterance or file:line> <reason>``. Segments are written when an utterance comes
    with a recording.

    Args:
        path: the data directory.
        hint: what to do when no utterance is left, for the error message.
        check_audio: leave utterances out whose audio file is missing, empty or unreadable.
        needed: without utterances it is an error; else the set is not written, and a warning says so.

    Raises:
        UserError: at the end of the block, if no utterance is left of a set that is needed.
    """

    def __init__(
        self, path: Path, hint: str = "check --source", check_audio: bool = True, needed: bool = True
    ) -> None:
        self.path, self.hint, self.check_audio, self.needed = path, hint, check_audio, needed
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        self._fresh = path.with_name(f".{path.name}.new")
        self._shared_audio = lru_cache(maxsize=RECORDINGS)(_audio_problem)
        self._example = ""
        self._extras: set[str] = set()
        self._has_segments = False
        self._seen = 0
        self._told = time.monotonic()

    def __enter__(self) -> SetWriter:
        shutil.rmtree(self._fresh, ignore_errors=True)
        try:
            (self._fresh / "runs").mkdir(parents=True)
            self._dropped = open(self._fresh / DROPPED, "w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}): choose --output_dir"
            ) from None
        self._rows = ExternalSorter(self._fresh / "runs" / "utterances")
        self._recordings = ExternalSorter(self._fresh / "runs" / "recordings")
        self._speakers = ExternalSorter(self._fresh / "runs" / "speakers")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as caught:
            error = caught
            if caught.errno not in _NO_ROOM:
                raise
        finally:
            with contextlib.suppress(OSError):  # what could not be written cannot be flushed either
                self._dropped.close()
            shutil.rmtree(self._fresh, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}): make room there, or choose another "
                "--output_dir"
            ) from None

    def add(self, row: Utterance, recording: str | None = None) -> bool:
        """Take an utterance, or drop it for its empty transcript or its audio; returns whether it was taken.

        With ``recording`` (an id) it is the stretch from ``row.start`` to ``row.end`` of it.
        """
        self._news()
        text = None if row.text is None else _BLANKS.sub(" ", row.text).strip(" ")
        if text == "":
            return self.drop(row.utt, "empty transcript")
        look = _audio_problem if recording is None else self._shared_audio
        problem = look(row.wav) if self.check_audio else None
        if problem:
            return self.drop(row.utt, problem)
        segment = None
        if recording is not None:
            self._has_segments = True
            end = -1.0 if row.end is None else row.end
            if not (row.start or 0.0) < end and end != -1.0:
                return self.drop(row.utt, f"its segment ends before it begins: {row.start:g} to {end:g} s")
            segment = f"{row.start or 0.0:.3f} {'-1' if end < 0 else format(end, '.3f')}"
            self._recordings.add(recording, [row.wav])
        extras = [part for pair in sorted(row.extras.items()) for part in pair]
        self._extras.update(row.extras)
        self._rows.add(row.utt, [row.speaker, text, row.wav, recording, segment, *extras])
        return True

    def drop(self, key: str, reason: str) -> bool:
        """Note what is left out and why; the summary counts reasons by what is before ": ". Returns False."""
        self._news()
        self.reasons[reason.partition(": ")[0]] += 1
        self._example = self._example or f"{key} {reason}"
        self._dropped.write(f"{safe_id(key)} {_BLANKS.sub(' ', reason)}\n")
        return False

    def _news(self) -> None:
        self._seen += 1
        if self._seen % 1024 == 0 and time.monotonic() - self._told > _NEWS_SECONDS:
            self._told = time.monotonic()
            dropped = sum(self.reasons.values())
            log.info("%s: %d read, %d of them left out", self.path, self._seen, dropped)

    def _finish(self) -> None:
        with ExitStack() as stack:
            names = ["wav.scp", "utt2spk", "text", *sorted(self._extras)]
            names += ["segments"] if self._has_segments else []
            streams = {name: stack.enter_context(atomic_open(self._fresh / name)) for name in names}
            self._write_utterances(streams)
            if self._has_segments:
                self._write_recordings(streams["wav.scp"])
            spk2utt = stack.enter_context(atomic_open(self._fresh / "spk2utt"))
            write_groups(spk2utt, ([speaker, *utts] for speaker, utts in self._speakers))
        if not self.kept:
            told = f"; the first: {self._example}" if self._example else ""
            problem = f"{self.path}: no utterance is left ({self.summary()}{told})"
            if self.needed:
                raise UserError(f"{problem}: {self.hint}")
            log.warning("%s: not written", problem)
            return
        self._dropped.close()
        for name in [*streams, DROPPED]:
            if not (self._fresh / name).stat().st_size:
                (self._fresh / name).unlink()
        shutil.rmtree(self._fresh / "runs")
        (self.path / DROPPED).unlink(missing_ok=True)
        replace_tables(self._fresh, self.path)
        log.info("%s: %s", self.path, self.summary())

    def _write_utterances(self, streams: dict[str, IO[str]]) -> None:
        last = None
        for utt, (speaker, text, wav, recording, segment, *extras) in self._rows:
            if utt == last:
                self.drop(utt, "duplicate: the id has come before")
                continue
            last = utt
            self.kept += 1
            self._speakers.add(speaker or utt, [utt])
            streams["utt2spk"].write(f"{utt} {speaker}\n")
            if text is not None:
                streams["text"].write(f"{utt} {text}\n")
            if segment is not None:
                streams["segments"].write(f"{utt} {recording} {segment}\n")
            elif self._has_segments:
                # Without times of its own, beside others that have some: the whole of its file.
                self._recordings.add(utt, [wav])
                streams["segments"].write(f"{utt} {utt} 0.000 -1\n")
            else:
                streams["wav.scp"].write(f"{utt} {wav}\n")
            for name, value in zip(extras[::2], extras[1::2], strict=True):
                streams[str(name)].write(f"{utt} {value}\n")

    def _write_recordings(self, stream: IO[str]) -> None:
        last: tuple[str, str | None] | None = None
        for recording, (wav,) in self._recordings:
            if last and recording == last[0]:
                if wav != last[1]:
                    raise UserError(
                        f"{self.path}: recording '{recording}' is two files, {last[1]} and {wav}: rename one"
                    )
                continue
            last = recording, wav
            stream.write(f"{recording} {wav}\n")

    def summary(self) -> str:
        """``812 utterances, 3 left out (2 no such audio file, 1 empty transcript): see <set>/dropped``."""
        text = f"{self.kept} utterances"
        if self.reasons:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.reasons.most_common(6))
            text += f", {sum(self.reasons.values())} left out ({kinds})"
        return text


def _audio_problem(wav: str) -> str | None:
    """``/a/b.wav: no such audio file`` with the kind of the problem in front."""
    if (problem := audio_file_problem(wav)) is None:
        return None
    path, _, what = problem.rpartition(": ")
    return f"{what}: {path}"
