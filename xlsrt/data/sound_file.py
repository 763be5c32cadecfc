"""Sound files that are there whole or not at all."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from xlsrt.errors import UserError
from xlsrt.files import atomic_path


@contextmanager
def new_sound_file(target: Path, rate: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Write 16-bit mono FLAC or WAV, by the suffix, that appears when the block ends without an error.

    Yields a function that writes samples (n,), int16 or float in [-1, 1]. Where the same bytes are there
    already, their time stays: what was made from them is not made anew.

    Raises:
        UserError: it cannot be written; errors of the block itself pass as they are.
    """

    def failed(error: soundfile.LibsndfileError) -> UserError:
        reason = error.error_string.strip().rstrip(".")
        return UserError(
            f"{target}: cannot be written (disk full or not writable: {reason}): free some space there"
        )

    def write(samples: np.ndarray) -> None:
        try:
            file.write(samples)
        except soundfile.LibsndfileError as error:
            raise failed(error) from None

    with atomic_path(target) as temporary:
        try:
            file = soundfile.SoundFile(temporary, "w", rate, 1, "PCM_16", format=target.suffix[1:].upper())
        except soundfile.LibsndfileError as error:
            raise failed(error) from None
        with file:
            yield write
        if target.is_file() and filecmp.cmp(temporary, target, shallow=False):
            status = target.stat()
            os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_sound(target: Path, samples: np.ndarray, rate: int) -> None:
    """`new_sound_file` for samples that are there already."""
    with new_sound_file(target, rate) as write:
        write(samples)
