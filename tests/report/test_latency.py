"""Delays of words: the figures by hand, and from streams through asr_decode and score to RESULTS.md."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt.bin import asr_decode, latency, score
from xlsrt.context import AttentionContext
from xlsrt.ctm import alignment_head, read_ctm
from xlsrt.errors import UserError
from xlsrt.report.latency import HEADER, Spread, algorithmic, matches, measure, read_latency, write_latency


def decoded(folder: Path, ctm: str, stable: str) -> Path:
    folder.mkdir()
    (folder / "words.ctm").write_text(ctm)
    (folder / "word_stable").write_text(stable)
    context = {"chunk_ms": 320, "left_ms": 640, "sink_frames": 0}
    (folder / "decoding.json").write_text(json.dumps({"context": context, "packet_ms": 80}))
    return folder


def test_delays_by_hand(tmp_path: Path) -> None:
    (tmp_path / "ref.ctm").write_text(
        "u1 1 0.1 0.2 one\nu1 1 0.3 0.2 two\nu1 1 0.6 0.3 three\nu2 1 0 0.5 four\n"
    )
    out = decoded(
        tmp_path / "out",
        "u1 1 0.2 0.2 one 0.9\nu1 1 0.5 0.1 too 0.9\nu1 1 0.7 0.1 three 0.9\nu2 1 0.3 0.4 four 0.5\n",
        "u1 0.4 0.8 1.2\nu2 0.8\nu3\n",
    )
    found = measure(out, tmp_path / "ref.ctm")
    assert found.words == 4
    # one: 0.4 - 0.3, three: 1.2 - 0.9, four: 0.8 - 0.5; the wrong word does not count.
    assert found.emission == Spread(3, 233.3, 300.0, 300.0)
    assert found.token == Spread(3, 66.7, 100.0, 180.0)
    assert found.first_word == Spread(2, 200.0, 200.0, 280.0)
    assert found.last_word == Spread(2, 300.0, 300.0, 300.0)
    # Of the utterances with words: 1.2 - 0.9 and 0.8 - 0.5, whether their last words are right or not.
    assert found.last_recognised == Spread(2, 300.0, 300.0, 300.0)
    assert (found.word_times, found.aligned_by) == (str(tmp_path / "ref.ctm"), "")
    assert found.row()[-3:] == ("300", "300", "given")
    assert (found.algorithmic_mean_ms, found.algorithmic_max_ms) == (240, 400)


def test_times_by_forced_alignment_are_marked(tmp_path: Path) -> None:
    words = "u1 1 0.1 0.2 one\nu1 1 0.5 0.1 two\n"
    (tmp_path / "ref.ctm").write_text(alignment_head("exp/asr_stage1") + words)
    out = decoded(tmp_path / "out", words.replace("two", "too"), "u1 0.4 0.8\n")
    found = write_latency(out, tmp_path / "ref.ctm")
    assert found == read_latency(out)
    assert found.aligned_by == "exp/asr_stage1" and found.row()[-1] == "aligned"
    assert found.last_word.count == 0 and found.last_recognised == Spread(1, 200.0, 200.0, 200.0)
    content = json.loads((out / "latency.json").read_text())
    # An earlier version had another name for it.
    content["final"] = content.pop("last_recognised")
    (out / "latency.json").write_text(json.dumps(content))
    assert read_latency(out) == found
    # Delays that were measured before these were known.
    for name in ("final", "word_times", "aligned_by"):
        del content[name]
    (out / "latency.json").write_text(json.dumps(content))
    before = read_latency(out)
    assert before is not None and before.row()[-3:] == ("-", "-", "given")


def test_when_the_last_recognised_word_stood_is_no_delay_of_the_result(tmp_path: Path) -> None:
    """The end of what was said is missed: the last word that was recognised stood long before."""
    (tmp_path / "ref.ctm").write_text("u1 1 0.1 0.2 one\nu1 1 0.5 1.0 two\n")
    found = measure(decoded(tmp_path / "out", "u1 1 0.2 0.1 one\n", "u1 0.4\n"), tmp_path / "ref.ctm")
    assert found.last_recognised == Spread(1, -1100.0, -1100.0, -1100.0)
    assert not any("final" in name for name in HEADER), "the stream may still say a word until it ends"


def test_algorithmic_delay_counts_the_packets() -> None:
    context = AttentionContext(32, 32)
    assert algorithmic(context, 5) == (325, 645)
    assert algorithmic(context, 80) == (400, 720)
    assert algorithmic(context, 640) == (960, 1280)  # the 5 ms cost a whole packet
    moments = [0.25 + 0.5 * i for i in range(2 * 640 * 15)]  # 15 chunks are 32 packets
    waits = [math.ceil(((m // 640 + 1) * 640 + 5) / 300) * 300 - m for m in moments]
    assert algorithmic(context, 300) == pytest.approx((sum(waits) / len(waits), max(waits)), abs=0.5)
    assert algorithmic(AttentionContext.full(), 80) == (math.inf, math.inf)


def test_matches_skip_what_only_one_side_has() -> None:
    assert matches(list("abcde"), list("axbce")) == [(0, 0), (1, 2), (2, 3), (4, 4)]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mode: streaming"):
        measure(tmp_path, tmp_path / "ref.ctm")
    out = decoded(tmp_path / "out", "u1 1 0 1 a 1\n", "u1 0.4 0.8\n")
    with pytest.raises(UserError, match=r"ref\.ctm does not exist"):
        measure(out, tmp_path / "ref.ctm")
    (tmp_path / "ref.ctm").write_text("u1 1 0 1 a\n")
    with pytest.raises(UserError, match="differ at u1"):
        measure(out, tmp_path / "ref.ctm")
    (out / "word_stable").write_text("u1 0.4\n")
    (tmp_path / "ref.ctm").write_text("u9 1 0 1 a\n")
    with pytest.raises(UserError, match="no utterance of"):
        measure(out, tmp_path / "ref.ctm")


@pytest.mark.parametrize("search", ["{type: greedy}", "{type: beam, beam_size: 3}"])
def test_from_the_stream_to_results(tmp_path: Path, search: str, capsys) -> None:
    """A reference made of what the model says, so that every word counts."""
    exp, data, out = tmp_path / "exp/model", tmp_path / "data", tmp_path / "exp/model/stream/data"
    make_exp(exp, blank_bias=8.0)
    data.mkdir()
    for number, seconds in enumerate((0.9, 1.7, 2.3)):
        soundfile.write(data / f"u{number}.flac", np.asarray(noise(seconds, seed=number)), 16000)
    (data / "wav.scp").write_text("".join(f"u{n} {data}/u{n}.flac\n" for n in range(3)))
    (data / "utt2spk").write_text("u0 s\nu1 s\nu2 s\n")
    config = tmp_path / "decode.yaml"
    config.write_text(
        "context: {chunk_ms: 320, left_ms: 320, sink_frames: 4}\nmode: streaming\npacket_ms: 100\n"
        f"search: {search}\n"
    )
    options = ["--exp_dir", str(exp), "--data_dir", str(data), "--decode_config", str(config), "--quiet"]
    options += ["--num_threads", "1"]  # a second thread waits for a busy machine
    asr_decode.main([*options, "--output_dir", str(out)])
    (data / "text").write_text((out / "text").read_text())
    (data / "word_times.ctm").write_text((out / "words.ctm").read_text())
    score.main(["--ref", str(data / "text"), "--hyp", str(out / "text"), "--score_dir", str(out), "--quiet"])
    score.main(["--expdir", str(tmp_path / "exp"), "--quiet"])
    found = read_latency(out)
    assert found is not None and found.emission.count == found.words > 5
    assert found.token == Spread(found.words, 0.0, 0.0, 0.0)
    ends = {utt: words[-1][2] for utt, words in read_ctm(out / "words.ctm").items()}
    for line in (out / "word_stable").read_text().splitlines():
        utt, *stable = line.split()
        times = [float(t) for t in stable]
        assert times == sorted(times)
        audio = (0.9, 1.7, 2.3)[int(utt[1])]
        # Known with a packet, or with the end of the audio.
        assert all(t == pytest.approx(audio) or round(t * 1000) % 100 == 0 for t in times)
        assert not times or times[-1] >= ends[utt] - 1e-9
    if "greedy" in search:
        # Greedy tokens are final with their chunk: 320 ms, 5 ms and the rest of the packet.
        assert found.emission.p90 is not None and 0 <= found.emission.p90 <= 320 + 100
    assert "### Delays" in (tmp_path / "exp/RESULTS.md").read_text()
    assert f"|stream/data|{found.algorithmic_mean_ms:.0f}|" in (exp / "RESULTS.md").read_text()
    latency.main([str(out), "--word_times", str(data / "word_times.ctm")])
    assert str(out) in capsys.readouterr().out
    latency.main([str(out), "--word_times", str(data / "word_times.ctm"), "--quiet"])
    assert capsys.readouterr().out == ""
    # The words of whole utterances have no such times.
    asr_decode.main([*options, "--output_dir", str(out), "--mode", "masked"])
    assert not (out / "word_stable").exists()
