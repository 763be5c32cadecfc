"""Where a recogniser's audio comes from: files, raw samples on standard input, a microphone."""

from __future__ import annotations

import fcntl
import logging
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

log = logging.getLogger(__name__)

CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"NIST_1A": "SPHERE"}
RAW_FORMATS = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}
MICROPHONE_HELP = (
    "install it (pip install sounddevice; it needs the PortAudio library, libportaudio2), or pipe raw audio "
    "in: arecord -q -t raw -f S16_LE -r 16000 -c 1 | python -m xlsrt.bin.transcribe - ..."
)


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
    failed: list[UserError] = []
    blocks = _until_failed(_raw_blocks(stream, size, raw_format, interrupt or Interrupt()), failed)
    yield from _cut(resampled(blocks, rate, SAMPLE_RATE), size)
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


def microphone_packets(device: str, size: int, interrupt: Interrupt | None = None) -> Iterator[np.ndarray]:
    """What a microphone hears, in packets of ``size``, until Ctrl-C.

    Args:
        device: number or part of the name, as sounddevice takes it; "" is the default one.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise UserError(f"a microphone needs the package sounddevice ({error}); {MICROPHONE_HELP}") from None
    interrupt = interrupt or Interrupt()
    which: Any = int(device) if device.isdigit() else device or None
    opened = False
    try:
        source = sounddevice.InputStream(
            samplerate=SAMPLE_RATE, channels=1, dtype="float32", blocksize=size, device=which
        )
        with source:
            # A packet's time is short: it is heard whole, where Ctrl-C comes amid it.
            while not interrupt.asked:
                block, lost = source.read(size)
                opened = True
                if lost:
                    log.warning("audio was lost: this computer is too slow for the model")
                yield np.ascontiguousarray(block[:, 0])
    except KeyboardInterrupt:
        return
    except (sounddevice.PortAudioError, ValueError) as error:
        what = "can no longer be heard" if opened else "cannot be opened"
        raise UserError(
            f"the microphone {device or '(default)'} {what}: {error}; `python -m sounddevice` "
            "lists what there is"
        ) from None


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
    rest = np.zeros(0, dtype=np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    yield rest
