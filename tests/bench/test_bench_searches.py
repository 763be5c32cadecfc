"""Benchmarks of losses, searches and streams: small sizes, the same tokens from every search."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.recognizer.make import make_exp, noise
from xlsrt.bench.loss import peak_bytes
from xlsrt.bench.quiet import with_quiet
from xlsrt.bench.speaker import speaking_head, speech
from xlsrt.bin import bench
from xlsrt.errors import UserError
from xlsrt.recognizer import Recognizer
from xlsrt.report.edits import Counts, align
from xlsrt.search import BeamSearch, GreedySearch


def lines_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    bench.main(list(words))
    return capsys.readouterr().out.splitlines()


def test_the_made_up_head_says_what_is_in_its_frames() -> None:
    head = speaking_head(520, 30, 512)
    found = speech(head, 4, 200)
    assert 4 < sum(map(len, found.tokens)) / 16 * 4 < 30
    for search in (GreedySearch(head), BeamSearch(head, 4)):
        state = search.step(found.frames, found.lens, search.init_state(4))
        said = [hypothesis.tokens for hypothesis in search.finish(state)]
        wrong = sum(len(set(a) ^ set(b)) for a, b in zip(said, found.tokens, strict=True))
        assert wrong <= 0.2 * sum(map(len, found.tokens))


def test_losses(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--batch_size", "2", "--frames", "30", "--tokens", "6", "--vocab_size", "40", "--size", "16"]
    lines = lines_of(capsys, "loss", *sizes, "--rounds", "1")
    assert [line.split()[0] for line in lines[2:]] == ["torchaudio", "full", "pruned"]
    assert lines[2].split()[3] == "1.000"
    assert all(float(line.split()[1]) > 0 for line in lines[2:])


def test_peak_memory_is_what_a_step_holds() -> None:
    def step() -> None:
        torch.ones(50_000_000).sum()

    found = peak_bytes(step, "cpu")
    if found is None:
        pytest.skip("no /proc here")
    assert 190e6 < found < 260e6


def test_searches_of_espnet_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espnet2")
    sizes = ["--batch_size", "2", "--seconds", "2", "--vocab_size", "30"]
    lines = lines_of(capsys, "search", *sizes, "--rounds", "1", "--espnet_utterances", "2")
    rows = {line[:44].strip(): line[44:].split() for line in lines[2:]}
    assert len(rows) == 6 and all(float(row[0]) > 0 for row in rows.values())
    errors = {name: float(row[-1].rstrip("%")) for name, row in rows.items()}
    assert max(errors.values()) < 30 and errors["greedy, batch 2"] <= errors["ESPnet greedy, one by one"]


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(
        capsys, "stream", "--preset", "tiny", "--rounds", "1", "--seconds", "3", "--vocab_size", "9"
    )
    assert [line[:10].strip() for line in lines[2:]] == ["greedy", "beam 4"]
    rates = [float(line.split()[-1]) for line in lines[2:]]
    assert all(1 < rate < 8 for rate in rates)


def make_set(data: Path) -> Path:
    data.mkdir()
    for number in range(3):
        soundfile.write(data / f"u{number}.flac", np.asarray(noise(3.0, seed=number)), 16000)
    (data / "wav.scp").write_text("".join(f"u{n} {data}/u{n}.flac\n" for n in range(3)))
    (data / "utt2spk").write_text("u0 s\nu1 s\nu2 s\n")
    (data / "text").write_text("u0 the cat\nu1 do\nu2 run\n")
    return data


def test_an_hour_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exp, data = make_exp(tmp_path / "exp", blank_bias=9.0), make_set(tmp_path / "data")
    paths = ["--exp_dir", str(exp), "--data_dir", str(data)]
    lines = lines_of(capsys, "hour", *paths, "--seconds", "62", "--packet_ms", "640")
    assert re.search(r"\d+ recordings, 6\d s in one stream", lines[0])
    more = float(re.search(r"([+-][\d.]+) MB more", lines[1]).group(1))  # type: ignore[union-attr]
    assert more < 30
    assert re.search(r"WER in one stream [\d.]+ %, one by one [\d.]+ %", lines[2])
    with pytest.raises(UserError, match="--seconds must be 60 or more"):
        bench.main(["hour", *paths, "--seconds", "5"])
    with pytest.raises(UserError, match="--exp_dir and --data_dir together"):
        bench.main(["search", "--exp_dir", str(exp)])


def test_quiet_before_utterances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an utterance says after 160 ms of quiet is what it says in a file that begins with them."""
    exp, data = make_exp(tmp_path / "exp", blank_bias=1.0), make_set(tmp_path / "data")
    config = tmp_path / "decode.yaml"
    config.write_text("context: {chunk_ms: 320, left_ms: 320, sink_frames: 0}\nmode: streaming\n")
    paths = ["--exp_dir", str(exp), "--data_dir", str(data), "--decode_config", str(config)]
    rows = {
        line.split()[0]: line.split()[2:]
        for line in lines_of(capsys, "quiet", *paths, "--before_ms", "0", "160")[2:]
    }
    assert rows.keys() == {"0", "160"} and rows["0"] != rows["160"]
    recognizer = Recognizer.from_exp(
        exp, {"chunk_ms": 320, "left_ms": 320, "sink_frames": 0}, {"type": "greedy"}
    )
    for ms in (0, 160):
        counts = Counts()
        for number, words in enumerate(("the cat", "do", "run")):
            wav = soundfile.read(data / f"u{number}.flac", dtype="float32")[0]
            stream = recognizer.stream()
            stream.accept(with_quiet(wav, ms))
            counts += align(words.split(), stream.finish().text.split()).counts
        assert rows[str(ms)] == [
            f"{counts.error_rate:.2f}",
            *map(str, (counts.ins, counts.dele, counts.sub, 4)),
        ]
    quiet = with_quiet(np.zeros(100, np.float32), 160)
    assert len(quiet) == 160 * 16 + 100 and 0 < np.abs(quiet[:-100]).max() < 1e-3
    rules = tmp_path / "rules.yaml"
    rules.write_text(config.read_text() + "endpoint: {trailing_silence: 0.5}\n")
    with pytest.raises(UserError, match="leave its endpoint out"):
        bench.main(["quiet", *paths, "--decode_config", str(rules)])
    with pytest.raises(UserError, match="--before_ms must not be negative"):
        bench.main(["quiet", *paths, "--before_ms", "-1"])
