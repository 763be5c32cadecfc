"""Open audio wherever it lies: a file of any format, the output of a command, an entry of an archive.

Reading is by libsndfile (WAV, FLAC, SPHERE, MP3, Ogg/Opus ...), what it does not know (M4A, WebM ...) by the
program ffmpeg where there is one.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import soundfile

from xlsrt.data.kaldi import archive_place, is_pipe
from xlsrt.errors import UserError

# Writers to a pipe cannot know the length and leave such numbers in the header.
_UNKNOWN_RIFF_SIZE = 0x7FFFF000


class AudioProblem(UserError):
    """One utterance's audio cannot be used; the message says why, the caller names the utterance."""


def truncation(path: str) -> str | None:
    """Why a WAV, SPHERE or MP3 file is shorter than its header says, or None. libsndfile would not tell."""
    size = os.path.getsize(path)
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            while len(chunk := stream.read(8)) == 8:
                name, length = struct.unpack("<4sI", chunk)
                if name == b"data":
                    missing = stream.tell() + length - size
                    if length < _UNKNOWN_RIFF_SIZE and missing > 0:
                        there = length - missing
                        return f"truncated: its header announces {length} bytes of audio, {there} are there"
                    return None
                stream.seek(length + length % 2, os.SEEK_CUR)
            return "truncated: it ends before the audio"
        if head[:7] == b"NIST_1A":
            return _sphere_truncation(stream, size)
        stream.seek(0)
        return _mp3_truncation(stream, size)


def _mp3_truncation(stream: io.BufferedReader, size: int) -> str | None:
    """By the Xing or Info header that encoders put into the first frame, where there is one."""
    head = stream.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:  # a tag whose length is four times seven bits
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    stream.seek(start)
    frame = stream.read(4 + 32 + 16 + 2)
    if frame[:1] != b"\xff" or len(frame) < 54 or frame[1] & 0xE0 != 0xE0:
        return None
    at = next((at for mark in (b"Xing", b"Info") if (at := frame.find(mark)) >= 0), -1)
    if at < 0 or at + 8 > len(frame):
        return None
    stream.seek(start + at + 4)
    (flags,) = struct.unpack(">I", stream.read(4))
    fields = stream.read(8)
    if not flags & 2 or len(fields) < 8:  # no number of bytes; that of frames comes first, where it is there
        return None
    (announced,) = struct.unpack(">I", fields[4:] if flags & 1 else fields[:4])
    there = size - start
    return (
        f"truncated: its header announces {announced} bytes, {there} are there" if there < announced else None
    )


def _sphere_truncation(stream: io.BufferedReader, size: int) -> str | None:
    stream.seek(8)
    length = stream.read(8)
    if not length.strip().isdigit():
        return "its SPHERE header is damaged: it does not say how long it is"
    header_size = int(length)
    stream.seek(0)
    fields = {
        parts[0]: parts[2]
        for line in stream.read(header_size).split(b"\n")
        if len(parts := line.split(None, 2)) == 3
    }
    if fields.get(b"sample_coding", b"pcm").strip() != b"pcm":
        return None
    try:
        width = int(fields[b"sample_n_bytes"]) * int(fields.get(b"channel_count", b"1"))
        announced = int(fields[b"sample_count"])
    except (KeyError, ValueError):
        return None
    there = (size - header_size) // width
    return (
        f"truncated: its header announces {announced} samples, {there} are there"
        if there < announced
        else None
    )


@contextlib.contextmanager
def open_audio(source: str, allow_pipes: bool = False) -> Iterator[soundfile.SoundFile]:
    """Open a file, the output of a command ending in ``|``, or ``archive.ark:offset``.

    Raises:
        AudioProblem: missing, empty, truncated or in no format that libsndfile knows.
    """
    handle: str | io.BytesIO
    if is_pipe(source):
        handle = io.BytesIO(_run_pipe(source, allow_pipes))
    elif os.path.isfile(source):
        if os.path.getsize(source) == 0:
            raise AudioProblem("the audio file is empty (0 bytes)")
        problem = truncation(source)
        if problem:
            raise AudioProblem(problem)
        handle = source
    elif place := archive_place(source):
        handle = _from_archive(*place)
    else:
        raise AudioProblem("no such audio file")
    try:
        audio = soundfile.SoundFile(handle)
    except (soundfile.LibsndfileError, TypeError) as error:
        detail = getattr(error, "error_string", str(error)).strip()
        if handle is not source:
            raise AudioProblem(f"not readable as audio ({detail}): convert it to WAV or FLAC") from None
        audio = soundfile.SoundFile(_by_ffmpeg(source, detail))
    with audio:
        yield audio


def _by_ffmpeg(path: str, detail: str) -> io.BytesIO:
    """A file that libsndfile cannot read, as WAV at its own rate and channels.

    Raises:
        AudioProblem: there is no ffmpeg, or it cannot read the file either.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioProblem(
            f"not readable as audio ({detail}): convert it to WAV or FLAC, or install ffmpeg, which "
            "reads M4A, MP4 and WebM"
        )
    # The file: prefix keeps names with colons from being taken for addresses.
    command = [program, "-nostdin", "-v", "error", "-i", f"file:{path}", "-vn", "-f", "wav"]
    command += ["-c:a", "pcm_s16le", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise AudioProblem(
            f"not readable as audio, not by ffmpeg either ({''.join(last)}): convert it to WAV or FLAC"
        )
    return io.BytesIO(done.stdout)


def _run_pipe(command: str, allow_pipes: bool) -> bytes:
    if not allow_pipes:
        raise AudioProblem(
            f"'{command}' is a command: commands from data are run only with --allow_pipes true"
        )
    script = command.rstrip()[:-1]
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, check=False)
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise AudioProblem(
            f"the command '{script.strip()}' failed with code {done.returncode}: {''.join(last)}"
        )
    if not done.stdout:
        raise AudioProblem(f"the command '{script.strip()}' wrote no audio")
    return done.stdout


def _from_archive(path: str, offset: int) -> io.BytesIO:
    import kaldiio

    try:
        rate, samples = kaldiio.load_mat(f"{path}:{offset}")
    except (OSError, ValueError, TypeError) as error:
        raise AudioProblem(f"{path}:{offset} holds no audio ({error})") from None
    buffer = io.BytesIO()
    soundfile.write(
        buffer, samples, rate, format="WAV", subtype="PCM_16" if samples.dtype == np.int16 else "FLOAT"
    )
    buffer.seek(0)
    return buffer
