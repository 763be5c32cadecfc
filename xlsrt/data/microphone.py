"""A microphone as packets of samples."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

from xlsrt.data.interrupt import Interrupt
from xlsrt.data.sources import live_packets
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

log = logging.getLogger(__name__)

MICROPHONE_HELP = (
    "install it (pip install sounddevice; it needs the PortAudio library, libportaudio2), or pipe raw audio "
    "in: arecord -q -t raw -f S16_LE -r 16000 -c 1 | python -m xlsrt.bin.transcribe - ..."
)
LATE_SECONDS = 5.0
"""Text that comes so late is worth a warning, and again when it comes twice as late."""


def microphone_packets(device: str, size: int, interrupt: Interrupt | None = None) -> Iterator[np.ndarray]:
    """What a microphone hears until Ctrl-C, at 16 kHz in packets of ``size``, the last one shorter.

    Args:
        device: number or part of the name, as sounddevice takes it; "" is the default one. One that does not
            know 16 kHz is resampled.

    Raises:
        UserError: no sounddevice, a device that cannot be opened, or one that goes away; then after the
            packets of all that it has heard.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise UserError(f"a microphone needs the package sounddevice ({error}); {MICROPHONE_HELP}") from None
    which: Any = int(device) if device.isdigit() else device or None
    try:
        rate = _rate(sounddevice, which)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise _refused(device, "cannot be opened", error) from None
    blocks = _blocks(sounddevice, which, device, rate, size * rate // SAMPLE_RATE, interrupt or Interrupt())
    yield from live_packets(blocks, rate, size)


def _rate(sounddevice: Any, which: Any) -> int:
    """16 kHz, or the device's own rate where it does not know that."""
    try:
        sounddevice.check_input_settings(device=which, channels=1, dtype="float32", samplerate=SAMPLE_RATE)
    except sounddevice.PortAudioError:
        return round(sounddevice.query_devices(which, "input")["default_samplerate"])
    return SAMPLE_RATE


def _blocks(
    sounddevice: Any, which: Any, device: str, rate: int, size: int, interrupt: Interrupt
) -> Iterator[np.ndarray]:
    # PortAudio holds a fraction of a second, and a large model computes longer than that at once: what comes
    # meanwhile waits here.
    heard: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
    lost, late = False, 0.0

    def hear(block: np.ndarray, _frames: int, _time: Any, status: Any) -> None:
        nonlocal lost
        lost = lost or status.input_overflow
        heard.put(block[:, 0].copy())

    try:
        with sounddevice.InputStream(
            samplerate=rate,
            channels=1,
            dtype="float32",
            blocksize=size,
            device=which,
            callback=hear,
            finished_callback=lambda: heard.put(None),
        ):
            while (block := interrupt.wait(heard.get, True)) is not None:
                waiting = heard.qsize() * size / rate
                if waiting > max(LATE_SECONDS, 2 * late):
                    late = waiting
                    log.warning(f"{late:.0f} s behind: this computer is too slow for the model")
                if lost:
                    log.warning("audio was lost: this computer is too busy")
                    lost = False
                yield block
    except (sounddevice.PortAudioError, ValueError) as error:
        raise _refused(device, "cannot be opened", error) from None
    # The stream is closed: what had been heard when Ctrl-C came is here.
    while not heard.empty():
        if (block := heard.get()) is not None:
            yield block
    if not interrupt.asked:
        raise _refused(device, "can no longer be heard", "it was unplugged, or another program took it")


def _refused(device: str, what: str, why: object) -> UserError:
    return UserError(
        f"the microphone {device or '(default)'} {what}: {why}; `python -m sounddevice` lists what there is"
    )
