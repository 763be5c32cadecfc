"""The benchmark of adaptation runs and counts audio."""

from __future__ import annotations

import pytest

from xlsrt.bin.bench import main


def test_every_case_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main(["adapt", "--preset", "tiny", "--seconds", "1", "--batch", "2", "--rounds", "1", "--bf16"])
    shown = capsys.readouterr().out
    for name in ("encoder", "best_rq", "contrastive"):
        assert f"{name}, chunk 640 ms, left 640 ms, 16 sink frames: " in shown
    assert shown.count("hours of audio per hour") == 3 and "peak memory" in shown
