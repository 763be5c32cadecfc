"""What is written of audio that comes as it is spoken: a line a segment, and nothing is lost to an error."""

from __future__ import annotations

import io
import json
import os
import threading
import types
from contextlib import nullcontext

import numpy
import pytest

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer
from xlsrt.bin import transcribe
from xlsrt.errors import UserError

ENDPOINT = ("--endpoint", "0.2", "--max_segment", "2")
RULES = {"trailing_silence": 0.2, "max_seconds": 2.0, "restart_encoder": True}


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return make_exp(tmp_path_factory.mktemp("exp") / "exp", blank_bias=10.0)


@pytest.fixture(scope="module")
def samples():
    return (noise(6, seed=1).clamp(-1, 1).numpy() * 32767).astype("<i2")


def texts_of(exp, samples):
    stream = Recognizer.from_exp(exp).stream(endpoint=RULES)
    segments = [*stream.accept(samples).finished, stream.finish()]
    texts = [segment.text for segment in segments if segment.text]
    assert len(texts) > 2
    return texts


def hear(monkeypatch, data, exp, *options):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    transcribe.main(["-", "--model", str(exp), *options])


def test_a_line_for_each_segment(exp, samples, monkeypatch, capsys):
    hear(monkeypatch, samples.tobytes(), exp, *ENDPOINT)
    assert capsys.readouterr().out.splitlines() == texts_of(exp, samples)


def test_a_segment_is_written_when_it_closes(exp, samples, monkeypatch):
    """Text is there while the speaker goes on: the pipe stays open until a line has come."""
    reading, writing = os.pipe()
    out, into = os.pipe()
    pipe = os.fdopen(reading, "rb")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=pipe))
    lines, shown = [], os.fdopen(out)

    def speak():
        sound = os.fdopen(writing, "wb")
        sound.write(samples.tobytes())
        sound.flush()
        lines.append(shown.readline())
        sound.close()

    speaker = threading.Thread(target=speak)
    speaker.start()
    with os.fdopen(into, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        transcribe.main(["-", "--model", str(exp), *ENDPOINT])
        speaker.join()
    lines += shown.readlines()
    shown.close()
    pipe.close()
    assert [line.strip() for line in lines] == texts_of(exp, samples)


@pytest.mark.parametrize("options", [(), ("--stream", "--packet_ms", "300"), ENDPOINT])
@pytest.mark.parametrize("kind", ["text", "json", "ctm"])
def test_what_came_before_an_error_is_written(exp, samples, monkeypatch, capsys, options, kind):
    floats = (samples / numpy.float32(32768)).astype("<f4")
    floats[-1000:] = numpy.nan

    def said(what, data, *more):
        with pytest.raises(UserError, match=what) if what else nullcontext():
            hear(monkeypatch, data, exp, "--output", kind, *options, *more)
        return capsys.readouterr().out

    whole = said(None, samples[:-1000].tobytes())
    assert len(whole) > 10 and (kind != "json" or json.loads(whole)["text"])
    assert said("ends in the middle of a sample", samples[:-1000].tobytes() + b"x") == whole
    number = len(samples) - 1000
    assert said(f"sample {number} is NaN", floats.tobytes(), "--raw_format", "f32le") == whole


def test_a_stream_that_got_too_old_has_said_what_it_heard(samples, tmp_path, monkeypatch, capsys):
    """A context that keeps all the past ends after ``max_stream_seconds``."""
    exp = make_exp(tmp_path / "exp", config={"max_stream_seconds": 4.0}, blank_bias=10.0)
    wanted = Recognizer.from_exp(exp, {"chunk_ms": 320, "left_ms": "all"}).transcribe(samples[: 4 * 16000])
    context = ("--chunk_ms", "320", "--left_ms", "all", "--stream", "--packet_ms", "1000")
    with pytest.raises(UserError, match="longer than max_stream_seconds"):
        hear(monkeypatch, samples.tobytes(), exp, *context)
    assert wanted.text and capsys.readouterr().out == wanted.text + "\n"
