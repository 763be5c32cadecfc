"""The benchmark runs, compares what it says it compares, and refuses cases it does not know."""

from __future__ import annotations

import pytest

from xlsrt.bench import common, reference
from xlsrt.bin import bench
from xlsrt.errors import UserError


def test_prints_a_line_per_case(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["encoder", "--preset", "tiny", "--rounds", "1", "--cases", "offline,stream,batch,bf16,train"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny, 2 layers, 1 thread(s)")
    figures = {line[:64].strip(): [float(f) for f in line[64:].split()] for line in lines[2:]}
    assert len(figures) == 1 + 2 + 3 + 1 + 1 + 2
    assert figures["torchaudio, offline, 10 s"][2] == 1.0
    assert all(value > 0 for row in figures.values() for value in row)


def test_other_processes_are_busy_while_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    with common.busy(2) as others:
        assert [other.poll() for other in others] == [None, None]
    assert all(other.poll() is not None for other in others)
    bench.main(["encoder", "--preset", "tiny", "--rounds", "1", "--cases", "offline", "--busy", "1"])
    assert "1 busy process(es) beside" in capsys.readouterr().out
    with pytest.raises(UserError, match="--busy must be 0 or more"):
        bench.main(["encoder", "--preset", "tiny", "--busy", "-1"])


def test_the_reference_model_has_the_same_parameters() -> None:
    from xlsrt.encoder import XlsrConfig, XlsrEncoder

    config = XlsrConfig.preset("tiny")
    ours = (
        sum(p.numel() for p in XlsrEncoder(config).parameters()) - config.hidden_size
    )  # without the mask embedding
    for theirs in (reference.torchaudio_model(config), reference.hugging_face_model(config)):
        named = dict(theirs.named_parameters())
        named.pop("masked_spec_embed", None)
        assert sum(p.numel() for p in named.values()) == ours


def test_unknown_cases_are_refused() -> None:
    with pytest.raises(UserError, match="unknown flight; known: offline, stream"):
        bench.main(["encoder", "--cases", "stream,flight"])
