"""Audio that cannot be read during a training: one line with the utterance and its file, from any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xlsrt.errors import UserError


class UnreadableAudio(UserError):
    """The audio of an utterance cannot be read.

    A worker's exception comes to the training as its traceback, from which an exception of the same type is
    made: of several lines the last is what was said.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.strip().rpartition("\n")[2].removeprefix(f"{__name__}.{type(self).__name__}: "))


class TellingLoader(Mapping[str, Any]):
    """ESPnet's reader of a table of audio files, whose errors name the file.

    Args:
        loader: utterance -> samples. table: the file that it reads the places from.
    """

    def __init__(self, loader: Mapping[str, Any], table: str) -> None:
        self.loader, self.table = loader, table

    def __getitem__(self, utt: str) -> Any:
        try:
            return self.loader[utt]
        except MemoryError:
            raise
        except Exception as error:  # each format has its own
            place, problem = _place(self.table, utt), " ".join(f"{error or type(error).__name__}".split())
        raise UnreadableAudio(
            f"{self.table}: utterance '{utt}': {place} cannot be read ({problem}): check the file and put it "
            "right; one that stage 2 made: delete it and .formatted in its dump, and run stage 2 again"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)


def _place(table: str, utt: str) -> str:
    """Where a table has an utterance's audio; read anew, which costs nothing before it is needed."""
    with open(table, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, *place = line.strip().split(maxsplit=1) or [""]
            if key == utt and place:
                return place[0]
    return "its audio"
