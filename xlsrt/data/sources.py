"""Where a recogniser's audio comes from: files and raw samples on standard input."""

from __future__ import annotations

import fcntl
import math
import sys
import termios
from array import array
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from xlsrt.data.audio import AudioProblem, mono_blocks, open_audio, resampled
from xlsrt.data.interrupt import Interrupt
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"NIST_1A": "SPHERE"}
RAW_FORMATS = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}


def check_files(names: Sequence[str]) -> None:
    """Refuse a list of sources of which one is not there, before time is spent on the others."""
    for name in names:
        if name != "-" and not Path(name).is_file():
            raise UserError(f"{name} does not exist or is no file")


def file_packets(name: str, size: int, longest: float = math.inf) -> Iterator[np.ndarray]:
    """A file's samples, mixed down, in packets of ``size``, the last one shorter.

    Raises:
        UserError: it is not there or not readable, or has more than ``longest`` seconds.
    """
    if not Path(name).is_file():
        raise UserError(f"{name} does not exist or is no file")
    try:
        with open_audio(name) as audio:
            seconds = audio.frames / audio.samplerate
            if seconds > longest:
                raise UserError(
                    f"{name} is {seconds:.0f} s long, and a stream that keeps all the past takes "
                    f"{longest:g} s at most (max_stream_seconds): bound the context (--chunk_ms 640 "
                    "--left_ms 640), or, with chunks, close segments at pauses (--endpoint 0.5)"
                )
            yield from _cut(resampled(mono_blocks(audio, None, None), audio.samplerate, SAMPLE_RATE), size)
    except AudioProblem as error:
        raise UserError(f"{name}: {error}") from None


def raw_packets(
    stream: BufferedIOBase,
    size: int,
    raw_format: str = "s16le",
    rate: int = SAMPLE_RATE,
    interrupt: Interrupt | None = None,
) -> Iterator[np.ndarray]:
    """Raw samples of one channel as they arrive, in packets of ``size``, the last one shorter.

    Raises:
        UserError: a file of some format, NaN or infinite samples, or an end in the middle of a sample; what
            came before it has been yielded then.
    """
    blocks = _raw_blocks(stream, size, raw_format, interrupt or Interrupt())
    yield from live_packets(blocks, rate, size)


def live_packets(blocks: Iterator[np.ndarray], rate: float, size: int) -> Iterator[np.ndarray]:
    """Blocks of ``rate`` samples a second as packets of ``size`` at 16 kHz, the last one shorter.

    A `UserError` of the blocks is raised after the packets of all that came before it.
    """
    failed: list[UserError] = []
    yield from _cut(resampled(_until_failed(blocks, failed), rate, SAMPLE_RATE), size)
    if failed:
        raise failed[0]


def _until_failed(blocks: Iterator[np.ndarray], failed: list[UserError]) -> Iterator[np.ndarray]:
    """``blocks`` up to an error, which goes into ``failed``: a resampler still holds what came before."""
    try:
        yield from blocks
    except UserError as error:
        failed.append(error)


def _raw_blocks(
    stream: BufferedIOBase, size: int, raw_format: str, interrupt: Interrupt
) -> Iterator[np.ndarray]:
    dtype = np.dtype(RAW_FORMATS[raw_format])
    pending, count = b"", 0
    # What is there, without waiting for a whole packet: the end may come before that.
    while data := interrupt.wait(stream.read1, size * dtype.itemsize):
        pending += data
        if not count:
            if len(pending) < max(map(len, CONTAINERS)):
                continue
            _check_raw(pending)
        whole = len(pending) // dtype.itemsize * dtype.itemsize
        block, pending = pending[:whole], pending[whole:]
        yield from _samples(block, dtype, count, raw_format)
        count += len(block) // dtype.itemsize
    if interrupt.asked:
        pending += _there(stream)
    whole = len(pending) // dtype.itemsize * dtype.itemsize
    if whole:
        yield from _samples(pending[:whole], dtype, count, raw_format)
    if len(pending) > whole and not interrupt.asked:
        raise UserError(
            f"standard input ends in the middle of a sample of {dtype.itemsize} bytes: is it really raw "
            f"{raw_format}, or cut off?"
        )


def _there(stream: BufferedIOBase) -> bytes:
    """What stands in a pipe and can be read without waiting."""
    try:
        size = array("i", [0])
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, size)
    except (OSError, ValueError):  # nothing that has a descriptor
        return b""
    return stream.read(size[0])


def _check_raw(begin: bytes) -> None:
    kind = next((kind for mark, kind in CONTAINERS.items() if begin.startswith(mark)), None)
    if kind is not None:
        raise UserError(
            f"standard input is a {kind} file, not raw samples: give the file's name, or pipe "
            "its samples: ffmpeg -v error -i FILE -f s16le -ar 16000 -ac 1 - (arecord: add -t raw)"
        )


def _samples(data: bytes, dtype: np.dtype, count: int, raw_format: str) -> Iterator[np.ndarray]:
    """Whole samples as float32 in [-1, 1], up to one that is no number. count: those before."""
    block = np.frombuffer(data, dtype=dtype)
    if dtype.kind == "i":
        block = block / np.float32(-float(np.iinfo(dtype).min))
    finite = np.isfinite(block)
    good = len(block) if finite.all() else int(np.argmin(finite))
    yield block[:good].astype(np.float32)
    if good < len(block):
        raise UserError(
            f"standard input: sample {count + good} is NaN or infinite: is it really raw {raw_format}?"
        )


def packets_of(
    name: str,
    size: int,
    raw_format: str,
    raw_rate: int,
    longest: float = math.inf,
    interrupt: Interrupt | None = None,
) -> Iterator[np.ndarray]:
    """`file_packets`, or `raw_packets` of standard input for "-"."""
    if name == "-":
        stream: Any = sys.stdin.buffer
        return raw_packets(stream, size, raw_format, raw_rate, interrupt)
    return file_packets(name, size, longest)


def _cut(blocks: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    rest: np.ndarray = np.zeros(0, dtype=np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    yield rest
