"""Files that are there whole or not at all, whatever ends the process, and lines of text from them."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from xlsrt.errors import UserError

CANNOT_WRITE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    }
)
"""Errors of the system that a user can mend: a full disk, a quota, permissions, a wrong place."""


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under its name only when the block ends without an error.

    Text is UTF-8 with Unix line ends. Missing parent directories are made. A device or a pipe, such as
    /dev/stdout, is written to as it is.

    Raises:
        UserError: the disk or the quota is full, or there is no permission to write.
    """
    target = Path(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    with (
        atomic_path(target) as temporary,
        open(temporary, mode, encoding=encoding, newline=newline) as stream,
    ):
        yield stream
        stream.flush()
        if temporary != target:
            os.fsync(stream.fileno())


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name to write a file under that gets its own when the block ends without an error.

    For libraries that open files themselves; `atomic_open` for all else, which waits for the disk too. The
    name's suffix is ``.tmp``. Missing parent directories are made; a device or a pipe keeps its name.

    Raises:
        UserError: the disk or the quota is full, or there is no permission to write.
    """
    target = Path(path)
    temporary = target if _is_special(target) else _beside(target)
    try:
        with naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if temporary != target:
                os.replace(temporary, target)
    finally:
        if temporary != target:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def naming(target: Path) -> Iterator[None]:
    """Say which file it was that could not be written: the system does not, once it is open.

    Raises:
        UserError: the disk or the quota is full, or there is no permission to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in CANNOT_WRITE:
            raise UserError(
                f"{target}: cannot be written ({error.strerror}): make room there, or choose another place"
            ) from None
        raise


def _is_special(target: Path) -> bool:
    """Whether a name stands for a device, a pipe or an open file, which nothing may be moved over."""
    return str(target.parent) in ("/dev", "/dev/fd", "/proc/self/fd") or (
        target.exists() and not target.is_file() and not target.is_dir()
    )


def link_atomically(link: Path, target: str) -> None:
    """Point the symbolic link at ``target`` (a name in the same directory) in one step."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    temporary = _beside(link)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)


def remove_leftovers(directory: Path) -> None:
    """Delete what killed processes were writing there; nobody may be writing."""
    for path in directory.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """The name under which a file of this process is written before it is moved to ``target``."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends.

    Raises:
        UserError: it is missing or not UTF-8.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); convert it with iconv") from None


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """`atomic_open` for text that is there already."""
    with atomic_open(path) as stream:
        stream.write(content)


def copy_file(source: Path, target: Path) -> None:
    """A copy that is there whole or not at all; one that is equal already stays."""
    if not target.is_file() or not filecmp.cmp(source, target, shallow=False):
        with source.open("rb") as read, atomic_open(target, "wb") as written:
            shutil.copyfileobj(read, written)
