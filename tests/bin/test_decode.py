"""`asr_decode` on a model with random weights: what is written, sharding, resuming, both modes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from tests.bin.decoding import SECONDS, decode, same
from tests.recognizer.make import make_exp
from xlsrt import AttentionContext, Recognizer, XlsrConfig, XlsrEncoder
from xlsrt.bin.asr_decode import main
from xlsrt.decoding import engine, runner
from xlsrt.decoding.config import DecodeConfig
from xlsrt.decoding.job import Job, threads_of
from xlsrt.decoding.outputs import FILES
from xlsrt.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_one_thread_unless_asked(setup: Path) -> None:
    config = DecodeConfig.from_file(setup / "decode.yaml")
    for mode, asked, threads in (("streaming", 0, 1), ("streaming", 3, 3), ("masked", 0, 1)):
        job = Job(setup, None, replace(config, mode=mode), setup, setup, num_threads=asked)
        assert threads_of(job) == threads


def test_who_shares_the_work_out_does_not_wait_for_torch(setup: Path) -> None:
    """Its shards load it, each by itself; and a set that is decoded already is said to be so at once."""
    decode(setup, "out")
    code = (
        "import sys; from xlsrt.bin import asr_decode\n"
        "asr_decode.main(sys.argv[1:])\n"
        "print('torch' in sys.modules)"
    )
    words = [
        "--exp_dir",
        "exp",
        "--decode_config",
        "decode.yaml",
        "--data_dir",
        "data",
        "--output_dir",
        "out",
    ]
    run = [sys.executable, "-c", code, *words]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, cwd=setup, capture_output=True, text=True, check=True, env=path)
    assert done.stdout.strip() == "False" and "decoded already" in done.stderr


def test_where_only_waveforms_count_they_come_by_the_thousand_seconds(setup: Path) -> None:
    def most(mode: str, context: object, asked: float | None = None) -> float:
        config = DecodeConfig.from_dict({"mode": mode, "context": context})
        return Job(setup, None, config, setup, setup, batch_seconds=asked).most_seconds

    bounded = {"chunk_ms": 640, "left_ms": 640, "sink_frames": 16}
    assert (most("streaming", bounded), most("masked", bounded)) == (1200, 1200)
    assert most("streaming", {"chunk_ms": 640}) == 240, "all to the left is kept"
    assert most("streaming", bounded, 30.0) == 30
    cut = DecodeConfig.from_dict({"mode": "masked", "context": bounded, "endpoint": {"max_seconds": 9}})
    assert Job(setup, None, cut, setup, setup).most_seconds == 240, "the encoder hears the batch at once"


@pytest.mark.parametrize("bound", ["HEARD_SECONDS", "CACHED_SECONDS"])
def test_whole_utterances_are_heard_some_at_a_time(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny")).double().eval()
    wavs = [torch.randn(n, dtype=torch.double) for n in (16000, 9000, 15000, 200, 12000)]
    context = AttentionContext.from_ms(320, 320, 4)
    monkeypatch.setattr(engine, bound, 2.0)
    heard: list[int] = []
    encoder.register_forward_pre_hook(lambda _, given: heard.append(len(given[0])))
    with torch.inference_mode():
        enc, lens = engine.heard_whole(encoder, wavs, context)
        alone = [encoder(wav[None], None, context)[0][0] for wav in wavs]
    assert heard == [2, 2, 1, 1, 1, 1, 1, 1] and lens.tolist() == [len(one) for one in alone]
    for row, one in enumerate(alone):
        torch.testing.assert_close(enc[row, : len(one)], one, rtol=0, atol=1e-9)


def test_files_equal_the_recognisers_words(setup: Path) -> None:
    from xlsrt import Recognizer

    files = decode(setup, "out", "--model_file", "latest.pth")
    context = {"chunk_ms": 320, "left_ms": 320, "sink_frames": 4}
    recognizer = Recognizer.from_exp(setup / "exp", context, {"type": "greedy", "max_symbols": 2})
    said = 0
    for name, text in (line.partition(" ")[::2] for line in files["text"].splitlines()):
        samples, _ = soundfile.read(setup / "data" / f"{name}.flac", dtype="float32")
        result = recognizer.transcribe(samples)
        assert text == result.text
        said += len(result.words)
        tokens = next(line for line in files["token_int"].splitlines() if line.split()[0] == name)
        assert [int(token) for token in tokens.split()[1:]] == list(result.hypothesis.tokens)
        ctm = [line.split()[4] for line in files["words.ctm"].splitlines() if line.split()[0] == name]
        assert ctm == [word.text for word in result.words]
    assert said > 5, "the model of this test says nothing"
    assert "u2\n" in files["text"], "an utterance without a frame has an empty hypothesis"
    facts = json.loads((setup / "out" / "decoding.json").read_text())
    assert facts["model_file"] == "latest.pth" and facts["utterances"] == len(SECONDS)
    assert facts["context"] == context


def test_batches_do_not_matter(setup: Path) -> None:
    assert same(decode(setup, "one", "--batch_size", "1"), decode(setup, "all", "--batch_size", "5"))


@pytest.mark.parametrize("packet_ms", [23, 160, 1000])
def test_streaming_equals_masked(setup: Path, packet_ms: int) -> None:
    masked = decode(setup, "masked")
    with (setup / "decode.yaml").open("a") as file:
        file.write(f"mode: streaming\npacket_ms: {packet_ms}\n")
    assert same(masked, decode(setup, "streaming"))
    assert same(masked, decode(setup, "alone", "--batch_size", "1"))


@pytest.mark.parametrize("restart", ["true", "false"])
@pytest.mark.parametrize("packet_ms", [35, 700])
def test_endpoints_cut_streams_as_they_cut_wholes(setup: Path, packet_ms: int, restart: str) -> None:
    rules = "trailing_silence: 0.1, max_seconds: 0.8, min_pause: 0.1"
    rules = f"endpoint: {{{rules}, restart_encoder: {restart}}}\n"
    config = setup / "decode.yaml"
    config.write_text(config.read_text() + rules + f"packet_ms: {packet_ms}\n")
    masked, streamed = decode(setup, "masked"), decode(setup, "streamed", "--mode", "streaming")
    assert same(streamed, masked)
    recognizer = Recognizer.from_exp(setup / "exp", search={"type": "greedy", "max_symbols": 2})
    segments = 0
    for name, line in zip(
        masked["text"].splitlines(), (setup / "streamed/word_stable").read_text().splitlines(), strict=True
    ):
        utt, _, text = name.partition(" ")
        stream = recognizer.stream(yaml.safe_load(rules)["endpoint"])
        wav = soundfile.read(setup / "data" / f"{utt}.flac")[0]
        found = [*stream.accept(wav).finished, stream.finish()]
        segments += len(found)
        assert " ".join(result.text for result in found if result.text) == text
        times = [float(time) for time in line.split()[1:]]
        assert len(times) == len(text.split()) and times == sorted(times)
        assert all(time <= len(wav) / 16000 + 1e-3 for time in times)
    assert segments > len(SECONDS)
    facts = json.loads((setup / "streamed/decoding.json").read_text())
    assert facts["endpoint"]["trailing_silence"] == 0.1


def test_shards_of_a_queue_equal_one_run(setup: Path) -> None:
    whole = decode(setup, "whole")
    options = ["--exp_dir", str(setup / "exp"), "--decode_config", str(setup / "decode.yaml")]
    options += ["--data_dir", str(setup / "data"), "--output_dir", str(setup / "parts"), "--nj", "3"]
    main([*options, "--job", "3"])
    main([*options, "--job", "1"])
    with pytest.raises(UserError, match="2 of 5 utterances are not decoded yet"):
        main([*options, "--merge"])
    main([*options, "--job", "2"])
    main([*options, "--merge"])
    parts = {name: (setup / "parts" / name).read_text(encoding="utf-8") for name in FILES}
    assert same(whole, parts)
    shard = (setup / "parts" / "logdir" / "output.2" / "1best_recog" / "text").read_text()
    assert len(shard.splitlines()) == 2


def test_processes_equal_one_run(setup: Path) -> None:
    whole = decode(setup, "whole")
    command = [sys.executable, "-m", "xlsrt.bin.asr_decode", "--exp_dir", str(setup / "exp"), "--nj", "2"]
    command += ["--decode_config", str(setup / "decode.yaml"), "--data_dir", str(setup / "data")]
    command += ["--output_dir", str(setup / "out")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "shard 2 of 2" in result.stderr and "real-time factor" in result.stderr
    assert same(whole, {name: (setup / "out" / name).read_text(encoding="utf-8") for name in FILES})


def test_a_killed_run_continues(setup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode(setup, "whole", "--batch_size", "1")
    real, seen = runner.load_samples, []

    def dying(data: object, entry: runner.Entry) -> np.ndarray:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(entry.name)
        return real(data, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "load_samples", dying)
    with pytest.raises(KeyboardInterrupt):
        decode(setup, "out", "--batch_size", "1")
    assert not (setup / "out" / "text").exists()
    first = list(seen)
    seen.clear()
    assert same(whole, decode(setup, "out", "--batch_size", "1"))
    assert len(first) == 3 and len(seen) == 2 and not set(first) & set(seen)


def test_a_second_run_does_nothing_and_a_changed_model_redoes_all(
    setup: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    before = decode(setup, "out")
    monkeypatch.setattr(runner, "load_samples", None)
    assert decode(setup, "out") == before
    assert "is decoded already" in caplog.text
    monkeypatch.undo()
    make_exp(setup / "exp", seed=1, blank_bias=8.0)
    assert decode(setup, "out")["token"] != before["token"]
    assert len(list((setup / "out" / "logdir").glob("output.*/results.*"))) == 1


def test_replaced_audio_is_decoded_again(setup: Path) -> None:
    before = decode(setup, "out")
    path = setup / "data" / "u1.flac"
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, samples[::-1], rate)
    after = decode(setup, "out")
    assert after != before and after == decode(setup, "fresh")


def test_a_packed_model_says_the_same(setup: Path) -> None:
    from xlsrt.recognizer.pack import write_pack

    before = decode(setup, "out")
    write_pack(setup / "exp", setup / "pack")
    assert same(before, decode(setup, "packed", "--exp_dir", str(setup / "pack")))
    facts = json.loads((setup / "packed" / "decoding.json").read_text())
    assert facts["model_file"] == "model.safetensors"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nj", "0"], "--nj 0 must be positive"),
        (["--nj", "2", "--job", "3"], "--job 3 is not between 1 and --nj 2"),
        (["--job", "1", "--merge"], "exclude each other"),
        (["--model_file", "none.pth"], r"no model file none\.pth"),
        (["--num_threads", "-1"], "must not be negative"),
    ],
)
def test_wrong_options(setup: Path, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        decode(setup, "out", *options)
    assert not (setup / "out").exists()


def test_audio_that_is_gone_is_named(setup: Path) -> None:
    (setup / "data" / "utt2num_samples").write_text("".join(f"u{i} 16000\n" for i in range(5)))
    (setup / "data" / "u3.flac").unlink()
    with pytest.raises(UserError, match=r"utterance u3 .*no such audio file"):
        decode(setup, "out")


def test_espnet_is_not_imported(setup: Path) -> None:
    code = (
        "import sys; from xlsrt.bin.asr_decode import main; main(sys.argv[1:]); "
        "sys.exit(any(name.startswith('espnet') for name in sys.modules))"
    )
    options = ["--exp_dir", str(setup / "exp"), "--decode_config", str(setup / "decode.yaml"), "--quiet"]
    options += ["--data_dir", str(setup / "data"), "--output_dir", str(setup / "out")]
    result = subprocess.run([sys.executable, "-c", code, *options], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("mode", ["masked", "streaming"])
def test_further_hypotheses_are_written(setup: Path, mode: str) -> None:
    context = "context: {chunk_ms: 320, left_ms: 320, sink_frames: 4}\n"
    (setup / "decode.yaml").write_text(f"{context}search: {{type: beam, max_symbols: 2}}\nmode: {mode}\n")
    args = ["--exp_dir", "exp", "--data_dir", "data", "--decode_config", "decode.yaml"]
    args = [str(setup / word) if not word.startswith("--") else word for word in args]
    for out, more in (("one", []), ("three", ["--nbest", "3"])):
        main([*args, "--output_dir", str(setup / out), *more])
    assert (setup / "one" / "text").read_text() == (setup / "three" / "text").read_text()
    folder = setup / "three" / "logdir" / "output.1"
    ranked = [(folder / f"{rank}best_recog" / "score").read_text().splitlines() for rank in (1, 2, 3)]
    scores = {line.split()[0]: [] for line in ranked[0]}
    for lines in ranked:
        for line in lines:
            scores[line.split()[0]].append(float(line.split()[1]))
    assert all(row == sorted(row, reverse=True) for row in scores.values())
    assert len(scores["u4"]) == 3
