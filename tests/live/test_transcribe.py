"""The command line on files, raw samples and a microphone, and the documents that it writes."""

from __future__ import annotations

import io
import itertools
import json
import os
import pathlib
import signal
import threading
import types

import numpy
import pytest
import soundfile
import soxr

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer, XlsrConfig
from xlsrt.bin import transcribe
from xlsrt.data.interrupt import Interrupt
from xlsrt.errors import UserError


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return make_exp(tmp_path_factory.mktemp("exp") / "exp", blank_bias=10.0)


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    path = tmp_path_factory.mktemp("wav") / "a b.wav"
    soundfile.write(path, noise(6, seed=1).clamp(-1, 1).numpy(), 16000, subtype="FLOAT")
    return str(path)


def test_a_file_is_what_the_recogniser_says(exp, wav, capsys):
    wanted = Recognizer.from_exp(exp).transcribe(soundfile.read(wav)[0])
    assert len(wanted.words) > 2
    transcribe.main([wav, "--model", str(exp)])
    assert capsys.readouterr().out == wanted.text + "\n"
    transcribe.main([wav, wav, "--model", str(exp), "--stream", "--packet_ms", "70"])
    shown = capsys.readouterr()
    assert shown.out == f"{wav}: {wanted.text}\n" * 2
    assert shown.err.count("|") > 2


def test_options_reach_the_recogniser(exp, wav, capsys):
    options = [
        "--chunk_ms",
        "160",
        "--left_ms",
        "all",
        "--sink_frames",
        "0",
        "--search",
        "beam",
        "--beam_size",
        "2",
    ]
    context, search = {"chunk_ms": 160, "left_ms": "all"}, {"type": "beam", "beam_size": 2}
    wanted = Recognizer.from_exp(exp, context, search).transcribe(soundfile.read(wav)[0])
    transcribe.main([wav, "--model", str(exp), "--output", "json", *options])
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == wav and found["text"] == wanted.text
    assert found["segments"][0]["hypothesis"]["tokens"] == wanted.hypothesis.tokens
    transcribe.main([wav, "--model", str(exp), "--output", "json", "--endpoint", "0.2", "--max_segment", "2"])
    segments = json.loads(capsys.readouterr().out)["segments"]
    assert len(segments) > 1 and all(a["end"] <= b["start"] for a, b in itertools.pairwise(segments))
    transcribe.main([wav, "--exp_dir", str(exp), "--chunk_ms", "full"])
    full = Recognizer.from_exp(exp, {"chunk_ms": None, "left_ms": "all"}).transcribe(soundfile.read(wav)[0])
    assert capsys.readouterr().out == full.text + "\n"


def test_other_rates_and_channels(exp, tmp_path, capsys):
    audio = soxr.resample(noise(6, seed=1).clamp(-1, 1).numpy(), 16000, 44100)
    both = numpy.stack([audio + 0.01, audio - 0.01], axis=1)
    soundfile.write(tmp_path / "x.wav", both, 44100, subtype="FLOAT")
    transcribe.main([str(tmp_path / "x.wav"), "--model", str(exp), "--output", "json"])
    heard = json.loads(capsys.readouterr().out)["segments"][0]
    assert heard["end"] == pytest.approx(5.98, abs=0.03)
    samples = soxr.resample(both.mean(1), 44100, 16000)
    assert heard["text"] == Recognizer.from_exp(exp).transcribe(samples).text


def test_a_file_too_long_for_its_context_is_told_before_it_is_heard(wav, tmp_path, monkeypatch, capsys):
    exp = str(make_exp(tmp_path / "exp", config={"max_stream_seconds": 2.0}, blank_bias=10.0))
    command = [wav, "--model", exp, "--chunk_ms", "160"]
    transcribe.main([*command, "--left_ms", "160"])
    transcribe.main([*command, "--left_ms", "all", "--max_segment", "0.6"])  # begins anew in time
    assert capsys.readouterr().out
    monkeypatch.setattr("xlsrt.recognizer.stream.Stream.accept", None)
    for more in (["--left_ms", "all"], ["--left_ms", "all", "--max_segment", "1", "--no-restart_encoder"]):
        with pytest.raises(UserError, match=r"a b\.wav is 6 s long, .* takes 2 s at most .*--left_ms 640"):
            transcribe.main([*command, *more])


def test_bad_options_and_files(exp, wav, tmp_path):
    model = ["--model", str(exp)]
    for options, words in (
        ([str(tmp_path / "no.wav"), *model], "does not exist"),
        ([wav, *model, "--chunk_ms", "fast"], "--chunk_ms is 'fast'"),
        ([wav, *model, "--chunk_ms", "320", "--left_ms", "-3"], "--left_ms"),
        ([wav, *model, "--stream", "--packet_ms", "0"], "--packet_ms is 0"),
        (["-", *model, "--raw_rate", "16"], "--raw_rate"),
        ([wav, *model, "--left_ms", "320"], "--left_ms is for --chunk_ms"),
        ([wav, *model, "--sink_frames", "4"], "--sink_frames is for --chunk_ms"),
        ([wav, *model, "--realtime"], "--realtime is for --stream"),
        ([wav, *model, "--packet_ms", "80"], "--packet_ms is for --stream"),
        ([wav, *model, "--device", "cuda:99"], "device cuda:99: PyTorch sees"),
        ([wav, *model, "--device", "abacus"], "device 'abacus' is none that PyTorch knows"),
        (model, "or --microphone"),
        ([wav, *model, "--microphone"], "or --microphone"),
        ([wav, *model, "--lm", str(tmp_path / "no.arpa")], "language model .* does not exist"),
        ([wav, *model, "--search", "greedy", "--phrases", wav], "greedy has no phrases; that needs"),
        ([wav, *model, "--num_threads", "0"], "--num_threads is 0"),
        ([wav, "--model", str(tmp_path / "x")], "experiment directory"),
    ):
        with pytest.raises(UserError, match=words):
            transcribe.main(options)
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    with pytest.raises(UserError, match=r"text\.wav"):
        transcribe.main([str(tmp_path / "text.wav"), *model])


def test_one_bad_file_among_several(exp, wav, tmp_path, capsys):
    broken = tmp_path / "brökén.wav"
    broken.write_bytes(b"RIFF, but no more")
    options = ["--model", str(exp)]
    with pytest.raises(UserError, match="1 of 3 files"):
        transcribe.main([wav, str(broken), wav, *options])
    shown = capsys.readouterr()
    assert shown.out.count(f"{wav}: ") == 2 and len(shown.out.splitlines()) == 2
    assert str(broken) in shown.err
    with pytest.raises(UserError, match=r"gone\.wav does not exist"):
        transcribe.main([wav, str(tmp_path / "gone.wav"), *options])
    assert not capsys.readouterr().out
    with pytest.raises(UserError, match="srt makes one document: several files need --output_dir"):
        transcribe.main([wav, wav, "--output", "srt", *options])


def test_a_document_for_each_file(exp, wav, tmp_path, capsys):
    other, third = tmp_path / "other.wav", tmp_path / "more" / "other.flac"
    third.parent.mkdir()
    soundfile.write(other, noise(2, seed=3).clamp(-1, 1).numpy(), 16000, subtype="FLOAT")
    soundfile.write(third, noise(1, seed=4).clamp(-1, 1).numpy(), 16000)
    options = ["--model", str(exp), "--output_dir", str(tmp_path / "out")]
    transcribe.main([wav, str(other), "--output", "srt", *options])
    assert not capsys.readouterr().out
    for name in (wav, str(other)):
        transcribe.main([name, "--output", "srt", "--model", str(exp)])
        document = (tmp_path / "out" / (pathlib.Path(name).stem + ".srt")).read_text(encoding="utf-8")
        assert document == capsys.readouterr().out and "-->" in document
    with pytest.raises(UserError, match=r"other\.wav and .*other\.flac would both become other\.txt"):
        transcribe.main([str(other), str(third), *options])
    with pytest.raises(UserError, match=r"--output_dir .*other\.wav: "):
        transcribe.main([wav, "--model", str(exp), "--output_dir", str(other)])
    # Where both names are one, the recordings of a CTM keep their folders.
    transcribe.main([str(other), str(third), wav, "--output", "ctm", "--model", str(exp)])
    recordings = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert len(recordings) == 3 and "a_b" in recordings


def test_what_a_decode_configuration_leaves_out_is_the_models(exp, wav, tmp_path, capsys):
    transcribe.main([wav, "--model", str(exp), "--output", "json"])
    wanted = json.loads(capsys.readouterr().out)
    (tmp_path / "search.yaml").write_text("search: {type: greedy}\n")
    transcribe.main(
        [wav, "--model", str(exp), "--output", "json", "--decode_config", f"{tmp_path}/search.yaml"]
    )
    assert json.loads(capsys.readouterr().out) == wanted


def test_an_encoder_that_cannot_stream_hears_files_whole(wav, tmp_path, capsys):
    offline = make_exp(
        tmp_path / "offline",
        config={"input_norm": "utterance"},
        blank_bias=10.0,
        encoder_conf={"config": XlsrConfig.preset("tiny", input_norm="utterance").to_dict()},
    )
    transcribe.main([wav, "--model", str(offline)])
    said = capsys.readouterr().out
    assert said == Recognizer.from_exp(offline).transcribe(wav).text + "\n" and len(said) > 5
    with pytest.raises(UserError, match="to stream, use input_norm: causal"):
        transcribe.main([wav, "--model", str(offline), "--stream"])


def test_settings_of_a_decode_configuration(exp, wav, tmp_path, capsys):
    config = tmp_path / "live.yaml"
    config.write_text(
        "context: {chunk_ms: 160, left_ms: 320}\nsearch: {type: beam, beam_size: 2, blank_penalty: -1.0}\n"
        "mode: streaming\nendpoint: {trailing_silence: 0.2, max_seconds: 2, restart_encoder: true}\n"
    )
    samples = soundfile.read(wav)[0]

    def segments(*options):
        transcribe.main([wav, "--model", str(exp), "--output", "json", *options])
        return [part["hypothesis"]["tokens"] for part in json.loads(capsys.readouterr().out)["segments"]]

    def wanted(context, search, **rules):
        stream = Recognizer.from_exp(exp, context, search).stream(endpoint=rules)
        parts = [*stream.accept(samples).finished, stream.finish()]
        return [part.hypothesis.tokens for part in parts]

    context, search = (
        {"chunk_ms": 160, "left_ms": 320},
        {"type": "beam", "beam_size": 2, "blank_penalty": -1.0},
    )
    rules = {"trailing_silence": 0.2, "max_seconds": 2.0}
    found = segments("--decode_config", str(config))
    assert len(found) > 2 and found == wanted(context, search, **rules, restart_encoder=True)
    # Options go first, each for its own part.
    assert segments("--decode_config", str(config), "--chunk_ms", "320", "--beam_size", "3") == wanted(
        {"chunk_ms": 320, "left_ms": "all"}, {**search, "beam_size": 3}, **rules, restart_encoder=True
    )
    assert segments("--decode_config", str(config), "--search", "greedy", "--max_segment", "1") == wanted(
        context,
        {"type": "greedy", "blank_penalty": -1.0},
        **{**rules, "trailing_silence": None, "max_seconds": 1.0},
        restart_encoder=True,
    )
    for option, restart in (((), True), (("--no-restart_encoder",), False)):
        assert segments("--max_segment", "1", *option) == wanted(
            None, None, trailing_silence=None, max_seconds=1.0, restart_encoder=restart
        )
        assert segments("--decode_config", str(config), *option) == wanted(
            context, search, **rules, restart_encoder=restart
        )
    with pytest.raises(UserError, match="--restart_encoder is for an endpoint"):
        segments("--restart_encoder")


def test_raw_samples_on_standard_input(exp, wav, capsys, monkeypatch):
    samples = numpy.round(soundfile.read(wav)[0] * 32767).astype("<i2")
    wanted = Recognizer.from_exp(exp).transcribe(samples).text

    def said(data, *options):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        transcribe.main(["-", "--model", str(exp), *options])
        return capsys.readouterr().out

    assert wanted and said(samples.tobytes(), "--stream", "--packet_ms", "130") == wanted + "\n"
    floats = (samples / numpy.float32(32768)).astype("<f4")
    assert said(floats.tobytes(), "--raw_format", "f32le") == wanted + "\n"
    eight = soxr.resample(soundfile.read(wav)[0], 16000, 8000).astype("<f4")
    there = Recognizer.from_exp(exp).transcribe(soxr.resample(eight, 8000, 16000)).text
    assert said(eight.tobytes(), "--raw_format", "f32le", "--raw_rate", "8000") == there + "\n"
    assert said(b"") == "\n"
    with pytest.raises(UserError, match="ends in the middle of a sample of 2 bytes"):
        said(samples.tobytes()[:-1])
    with pytest.raises(UserError, match="standard input is a WAV file"):
        said(b"RIFF" + samples.tobytes())
    floats[7] = float("nan")
    with pytest.raises(UserError, match="sample 7 is NaN or infinite: is it really raw f32le"):
        said(floats.tobytes(), "--raw_format", "f32le")


@pytest.mark.parametrize("options", [(), ("--stream", "--packet_ms", "700")])
def test_standard_input_is_heard_until_interrupted(exp, wav, capsys, monkeypatch, options):
    """Ctrl-C in `arecord | transcribe -`: what has come through the pipe is heard, if less than a packet."""
    samples = numpy.round(soundfile.read(wav)[0] * 32767).astype("<i2")
    assert samples.nbytes > 2**16, "more than a pipe holds"
    reading, writing = os.pipe()
    pipe = os.fdopen(reading, "rb")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=pipe))

    def send():
        # When all is written it is being heard, and the rest stands in the pipe.
        os.write(writing, samples.tobytes() + b"x")
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    before = signal.getsignal(signal.SIGINT)
    transcribe.main(["-", "--model", str(exp), *options])
    assert capsys.readouterr().out == Recognizer.from_exp(exp).transcribe(samples).text + "\n"
    assert signal.getsignal(signal.SIGINT) is before
    sender.join()
    os.close(writing)
    pipe.close()


@pytest.fixture
def minds_ctrl_c():
    """Tests that run in the background may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_never_comes_amid_samples_that_are_heard(minds_ctrl_c):
    interrupt, heard = Interrupt(), []
    with interrupt.listening():
        for block in iter(lambda: interrupt.wait(str, len(heard)), None):
            heard.append(block)
            if len(heard) == 3:
                signal.raise_signal(signal.SIGINT)
            heard[-1] = "heard"
    assert heard == ["heard"] * 3 and interrupt.asked
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
