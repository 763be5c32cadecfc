"""Where transcripts go: a document of each source, on standard output or in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.recognizer.formats import formatted
from xlsrt.recognizer.result import Result

SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt", "ctm": ".ctm"}


@dataclass(frozen=True)
class Documents:
    """Where transcripts go.

    Attributes:
        kind: one of `SUFFIXES`. directory: receives a document for each source; None: standard output.
        names: all sources; what a document is called depends on them.
    """

    kind: str
    directory: Path | None
    names: Sequence[str]

    def __post_init__(self) -> None:
        if self.directory is None:
            if len(self.names) > 1 and self.kind in ("srt", "vtt"):
                raise UserError(f"--output {self.kind} makes one document: several files need --output_dir")
            return
        seen: dict[str, str] = {}
        for name in self.names:
            other = seen.setdefault(Path(name).stem, name)
            if other != name:
                raise UserError(
                    f"{other} and {name} would both become {Path(name).stem}{SUFFIXES[self.kind]} in "
                    f"{self.directory}: transcribe them one by one, into folders of their own"
                )

    def prepare(self) -> None:
        """Make the directory.

        Raises:
            UserError: it cannot be made.
        """
        if self.directory is not None:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"--output_dir {self.directory}: {error.strerror}") from None

    @contextmanager
    def of(self, name: str, live: bool) -> Iterator[Document]:
        """The document of one source, written when the block ends.

        ``live``: it comes as it is spoken. What has been added is written after an error too then; and where
        it is the only source, text on standard output comes segment by segment, each on a line of its own.
        """
        alone = self.directory is None and len(self.names) == 1
        document = Document(self, name, live and alone and self.kind == "text")
        try:
            yield document
        except UserError:
            if live and any(result.text for result in document.results):
                document.write()
            raise
        document.write()

    def write(self, name: str, results: Sequence[Result]) -> None:
        """The whole document of one source."""
        document = formatted(self._recording(name) if self.kind == "ctm" else name, results, self.kind)
        if self.directory is None:
            sys.stdout.write(f"{name}: " if len(self.names) > 1 and self.kind == "text" else "")
            sys.stdout.write(document)
            sys.stdout.flush()
        else:
            path = self.directory / (Path(name).stem + SUFFIXES[self.kind])
            write_text(path, document)
            print(path, file=sys.stderr)

    def _recording(self, name: str) -> str:
        """A name for NIST's formats: the file's without suffix, or all of it where two would be the same."""
        stem = Path(name).stem
        alike = {other for other in self.names if Path(other).stem == stem}
        return stem if len(alike) == 1 else name.replace("/", "_")


@dataclass
class Document:
    """The transcript of one source.

    Attributes:
        lines: each segment is written to standard output at once, on a line of its own.
    """

    among: Documents
    name: str
    lines: bool
    results: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """The next segment."""
        self.results.append(result)
        if self.lines and result.text:
            print(result.text, flush=True)

    def write(self) -> None:
        """All of it, or what has not been written yet."""
        if not self.lines:
            self.among.write(self.name, self.results)
        elif not any(result.text for result in self.results):
            print(flush=True)
