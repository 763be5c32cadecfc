"""Names of the audio files of a user's own lists: where they lie, as part of ids."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from xlsrt.data.set_writer import safe_id


class RecordingNames:
    """Names that no two files share.

    A file's name is its place below ``base``, without the suffix: ``a/b-c.wav`` is a-b-c. Where that was the
    name of another file before (``a-b/c.wav``), and for files elsewhere, a hash of its path stands behind it.

    Args:
        base: the folder that names count from.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self._owners: dict[str, bytes] = {}  # digests: of very many files the paths would fill the memory

    def name(self, path: Path) -> str:
        path = Path(os.path.abspath(path))
        if not path.is_relative_to(self.base) or path == self.base:  # an entry without a file has the base
            return _with_hash(path.stem, path)
        name = safe_id("-".join(path.relative_to(self.base).with_suffix("").parts))
        digest = _hash(path, 8).digest()
        return name if self._owners.setdefault(name, digest) == digest else _with_hash(name, path)


def _hash(path: Path, size: int) -> hashlib.blake2b:
    return hashlib.blake2b(str(path).encode("utf-8", "surrogateescape"), digest_size=size)


def _with_hash(name: str, path: Path) -> str:
    return safe_id(f"{name}-{_hash(path, 4).hexdigest()}")
