"""A microphone, played by a module in sounddevice's place."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
import soxr

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer
from xlsrt.bin import transcribe
from xlsrt.data.microphone import microphone_packets
from xlsrt.errors import UserError


class PortAudioError(Exception):
    """sounddevice's."""


class Device(types.SimpleNamespace):
    """The module: a device of one rate that says ``samples``, and then the user presses Ctrl-C, or it is
    unplugged.
    """

    PortAudioError = PortAudioError

    def __init__(self, samples, rate=16000, unplugged=False, lost=False):
        super().__init__(samples=samples, rate=rate, unplugged=unplugged, lost=lost, asked=[])

    def check_input_settings(self, device, channels, dtype, samplerate):
        assert (channels, dtype) == (1, "float32")
        if device == 7:
            raise ValueError("no such device")
        if samplerate != self.rate:
            raise PortAudioError("Invalid sample rate")

    def query_devices(self, device, kind):
        assert kind == "input"
        return {"default_samplerate": float(self.rate)}

    def InputStream(self, **options):
        self.asked.append(options)
        return Input(self, **options)


class Input:
    """An open device."""

    def __init__(self, module, samplerate, channels, dtype, blocksize, device, callback, finished_callback):
        assert (samplerate, channels, dtype) == (module.rate, 1, "float32")
        self.module, self.size, self.hear, self.finished = module, blocksize, callback, finished_callback

    def __enter__(self):
        self.speaker = threading.Thread(target=self.speak)
        self.speaker.start()
        return self

    def speak(self):
        said = self.module.samples
        for at in range(0, len(said), self.size):
            buffer = said[at : at + self.size, None].copy()
            self.hear(buffer, len(buffer), None, types.SimpleNamespace(input_overflow=self.module.lost))
            buffer[:] = 0  # it is the sound card's, who writes the next block there
        if self.module.unplugged:
            self.finished()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    def __exit__(self, *error):
        self.speaker.join()
        self.finished()


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return str(make_exp(tmp_path_factory.mktemp("exp") / "exp", blank_bias=10.0))


@pytest.fixture(scope="module")
def samples():
    return noise(6, seed=1).clamp(-1, 1).numpy()


@pytest.fixture(autouse=True)
def minds_ctrl_c():
    """Tests that run in the background may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def listen(monkeypatch, device, exp, *options):
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    transcribe.main(["--microphone", "--model", exp, "--packet_ms", "100", *options])


def test_it_is_heard_until_interrupted(exp, samples, monkeypatch, capsys):
    listen(monkeypatch, Device(samples), exp)
    shown = capsys.readouterr()
    assert shown.out == Recognizer.from_exp(exp).transcribe(samples).text + "\n"
    assert "|" in shown.err


def test_one_that_does_not_know_the_rate_is_resampled(exp, samples, monkeypatch, capsys):
    fast = soxr.resample(samples, 16000, 44100)
    device = Device(fast, rate=44100)
    listen(monkeypatch, device, exp)
    wanted = Recognizer.from_exp(exp).transcribe(soxr.resample(fast, 44100, 16000)).text
    assert wanted and capsys.readouterr().out == wanted + "\n"
    assert device.asked[0]["blocksize"] == 4410


def test_one_that_goes_away_has_been_heard(exp, samples, monkeypatch, capsys):
    with pytest.raises(UserError, match=r"microphone \(default\) can no longer be heard: it was unplugged"):
        listen(monkeypatch, Device(samples[:-70], unplugged=True), exp)
    assert capsys.readouterr().out == Recognizer.from_exp(exp).transcribe(samples[:-70]).text + "\n"


def test_a_slow_computer_loses_nothing_and_says_so(samples, monkeypatch, caplog):
    """What comes during a long computation waits; before, a device's own memory of a fraction of a second
    ran over.
    """
    monkeypatch.setitem(sys.modules, "sounddevice", Device(samples, unplugged=True, lost=True))
    packets = microphone_packets("", 1600)
    first = next(packets)
    time.sleep(0.2)
    heard = [first]
    with caplog.at_level(logging.WARNING), pytest.raises(UserError, match="can no longer be heard"):
        heard.extend(packets)
    assert sum(map(len, heard)) == len(samples)
    assert all((packet == samples[1600 * n : 1600 * (n + 1)]).all() for n, packet in enumerate(heard))
    assert "6 s behind: this computer is too slow for the model" in caplog.text
    assert caplog.text.count("audio was lost") >= 1


def test_one_that_cannot_be_opened(exp, samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", Device(samples))
    with pytest.raises(UserError, match=r"microphone 7 cannot be opened: no such device"):
        transcribe.main(["--microphone", "7", "--model", exp])
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"needs the package sounddevice .*pip install sounddevice.*arecord"):
        transcribe.main(["--microphone", "--model", exp])


def test_who_presses_ctrl_c_sees_no_traceback():
    """Any command, where nothing else is made of it; the exit code is a signal's."""
    code = (
        "import signal; from xlsrt.bin import run_main; print('text', end='');"
        "run_main(lambda: signal.raise_signal(signal.SIGINT))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "text", "interrupted\n")
