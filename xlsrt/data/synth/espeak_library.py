"""The espeak-ng shared library behind ctypes; it and its data come from the pip package `espeakng_loader`.

espeak-ng keeps one global state in the process, so this module does as well: one library, opened at the first
call. Callers hold `lock`. Forked and spawned workers are fine, each has its own copy.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xlsrt.errors import UserError

SAMPLE_RATE = 22050

# Values of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INIT_PHONEME_EVENTS, _INIT_PHONEME_IPA, _INIT_DONT_EXIT = 0x0001, 0x0002, 0x8000
_CHARS_UTF8, _POS_CHARACTER = 1, 1
_EVENT_END, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
RATE, VOLUME, PITCH, RANGE, WORDGAP = 1, 2, 3, 4, 7
_PHONEMES_IPA = 0x02
SEPARATOR = "_"  # between phonemes
_MAX_DATA_PATH = 120  # espeak keeps the path in a fixed buffer of 160 bytes and appends file names to it

lock = threading.RLock()


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Event(NamedTuple):
    """A word or phoneme begins: character of the text (from 1), sample, and a phoneme's IPA name."""

    kind: int
    position: int
    sample: int
    name: str


class Library:
    """The opened library. One at a time: see `open_library`."""

    def __init__(self) -> None:
        try:
            self.dll = ctypes.CDLL(_package().get_library_path())
        except OSError as error:
            raise UserError(f"espeak-ng cannot be loaded on this machine ({error})") from error
        options = _INIT_PHONEME_EVENTS | _INIT_PHONEME_IPA | _INIT_DONT_EXIT
        rate = self.dll.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, _data_path().encode(), options)
        if rate != SAMPLE_RATE:
            raise UserError(
                f"espeak-ng did not start with its data in {_data_path()} (returned {rate}): "
                "install the package espeakng-loader anew"
            )
        self.dll.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.dll.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._audio: list[np.ndarray] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._receive)  # kept: ctypes holds no reference for the C side
        self.dll.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self._audio.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            event = events[i]
            if event.type in (EVENT_WORD, EVENT_PHONEME):
                name = b""
                if event.type == EVENT_PHONEME:
                    name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                self._events.append(
                    Event(event.type, event.text_position, event.sample, name.decode("utf-8", "ignore"))
                )
            i += 1
        return 0

    def set_voice(self, language: str, variant: str = "") -> None:
        """Chooses by espeak's names; nothing happens if it is the voice in use.

        Raises:
            UserError: no such language.
        """
        name = f"{language}+{variant}" if variant else language
        if name == self._voice:
            return
        if self.dll.espeak_SetVoiceByName(name.encode()) != 0:
            self._voice = ""
            raise UserError(
                f"espeak-ng has no language {language!r}: xlsrt.data.synth.languages lists those used"
            )
        self._voice = name

    def speak(self, text: str, parameters: dict[int, int]) -> tuple[np.ndarray, list[Event]]:
        """int16 samples (S,), maybe none, and events in order."""
        for number, value in parameters.items():
            self.dll.espeak_SetParameter(number, int(value), 0)
        self._audio.clear()
        self._events.clear()
        data = text.encode()
        status = self.dll.espeak_Synth(data, len(data) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if status != 0:
            raise UserError(f"espeak-ng cannot say {text!r} (status {status})")
        return np.concatenate([np.zeros(0, np.int16), *self._audio]), list(self._events)

    def clauses(self, text: str) -> list[str]:
        """IPA of each clause, phonemes separated by `SEPARATOR`, words by blanks."""
        data = ctypes.c_char_p(text.encode())
        pointer = ctypes.cast(ctypes.pointer(data), ctypes.POINTER(ctypes.c_void_p))
        mode = _PHONEMES_IPA | (ord(SEPARATOR) << 8)
        found = []
        while pointer[0]:  # espeak moves it on by a clause, and to NULL at the end
            raw = self.dll.espeak_TextToPhonemes(pointer, _CHARS_UTF8, mode) or b""
            found.append(raw.decode("utf-8", "ignore"))
        return found

    def close(self) -> None:
        """Unloads the library, and with it all that it remembers."""
        import _ctypes

        self.dll.espeak_Terminate()
        _ctypes.dlclose(self.dll._handle)


_library: Library | None = None


def open_library(fresh: bool = False) -> Library:
    """The process's library; `fresh`: as if nothing had been said before. Hold `lock` while using it."""
    global _library
    if fresh and _library is not None:
        _library.close()
        _library = None
    if _library is None:
        _library = Library()
    return _library


def _new_lock() -> None:
    global lock
    lock = threading.RLock()  # another thread of the parent may have held it at the fork


os.register_at_fork(after_in_child=_new_lock)


def _package() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError(
            "synthetic speech needs the package espeakng-loader: pip install espeakng-loader"
        ) from error
    return espeakng_loader


@functools.cache
def _data_path() -> str:
    """Where espeak's data lie; a link to them in the temporary folder if that path is too long for espeak."""
    path = _package().get_data_path()
    if len(os.fsencode(path)) <= _MAX_DATA_PATH:
        return str(path)
    folder = tempfile.mkdtemp(prefix="espeak")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = os.path.join(folder, "espeak-ng-data")
    os.symlink(path, link)
    return link


@functools.cache
def variants() -> tuple[str, ...]:
    """Names of all voice variants (espeak's `!v` folder), sorted."""
    return tuple(sorted(p.name for p in _variants_folder().iterdir()))


def is_female(variant: str) -> bool:
    """Whether the file of a voice variant calls its speaker female."""
    lines = (_variants_folder() / variant).read_text(encoding="latin-1").splitlines()
    return any(line.split()[:2] == ["gender", "female"] for line in lines)


def _variants_folder() -> Path:
    return Path(_package().get_data_path()) / "voices" / "!v"
