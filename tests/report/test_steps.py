"""Step times of a live stream: one for each chunk, and only where there are chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer
from xlsrt.errors import UserError
from xlsrt.report.decodings import Decoded
from xlsrt.report.material import Material
from xlsrt.report.steps import StepTimes, measure_steps, step_table


@pytest.mark.parametrize("packet_ms", [80, 330, 2000])
def test_a_step_for_each_chunk(tmp_path: Path, packet_ms: int) -> None:
    recognizer = Recognizer.from_exp(make_exp(tmp_path / "exp"), {"chunk_ms": 320, "left_ms": 320})
    found = measure_steps(recognizer, noise(2.0).numpy(), packet_ms)
    # 99 frames are six chunks of 16; packets longer than a chunk complete several in one step.
    assert len(found.steps) == {80: 6, 330: 6, 2000: 1}[packet_ms]
    assert 0 < sum(found.steps) <= found.total
    assert found.audio == 2.0 and found.chunk_ms == 320
    assert [float(cell) > 0 for cell in found.row()] == [True] * 6


def test_percentiles_lie_between_the_steps() -> None:
    row = StepTimes((0.1, 0.001, 0.02, 0.03), 0.15, 2.0, 640, 0.004).row()
    assert row == ("640", "25.0", "79.0", "100.0", "4.0", "0.075")


def test_what_has_no_steps(tmp_path: Path) -> None:
    exp = make_exp(tmp_path / "exp")
    with pytest.raises(UserError, match="full attention has no steps"):
        measure_steps(Recognizer.from_exp(exp, "full"), noise(1.0).numpy())
    with pytest.raises(UserError, match="no whole chunk of 640 ms"):
        measure_steps(Recognizer.from_exp(exp, {"chunk_ms": 640}), noise(0.5).numpy())


def test_the_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exp = make_exp(tmp_path / "exp/asr_x_stage5b")
    data = tmp_path / "data"
    data.mkdir()
    for name in "ab":
        soundfile.write(data / f"{name}.wav", np.asarray(noise(2.0)), 16000)
    (data / "wav.scp").write_text(f"a {data}/a.wav\nb {data}/b.wav\n")
    (data / "utt2spk").write_text("a a\nb b\n")
    facts = {"mode": "streaming", "context": {"chunk_ms": 320, "left_ms": 320}, "packet_ms": 80.0}
    facts |= {"data_dir": str(data), "search": {"type": "greedy"}}
    decoded = [Decoded(exp / "streaming_320ms/test", facts), Decoded(exp / "streaming_320ms/other", facts)]
    decoded += [Decoded(exp / "gone/test", {**facts, "data_dir": str(tmp_path / "gone")})]
    decoded += [Decoded(exp / "masked/test", {**facts, "mode": "masked"})]
    shown = step_table(Material(tmp_path / "exp", decoded, [], 0.0))
    assert shown.count("<tr>") == 2 and "320" in shown and "real-time factor" in shown
    assert "no step times of" in caplog.text and "gone" in caplog.text
    assert step_table(Material(tmp_path / "exp", decoded, [], 0.0, attention=False)) == ""
