from __future__ import annotations

import re

import pytest

from xlsrt.bin.train_stage import ECHO

HEAD = "[host] 2026-11-23 02:22:31,001 (trainer:300) INFO: "


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "3epoch results: [train] loss_transducer=265.9, loss=359.1, loss_ctc=310.4, time=34.75 seconds, "
            "[valid] loss_transducer=153.0, loss=197.2, loss_ctc=147.1, ter=0.981, cer_ctc=1.000, time=2.4 s",
            ["3epoch results:", "loss=359.1", "[valid]", "loss=197.2", "ter=0.981", "cer_ctc=1.000"],
        ),
        (
            "11/32epoch:train:1/4batch: loss=298.2, loss_ctc=250.6, lr=0.001; remaining: 28 s, 60 s of all",
            ["11/32epoch", "train:1/4batch", "loss=298.2", "remaining: 28 s, 60 s of all"],
        ),
        ("The training was finished at 3 epochs ", []),
    ],
)
def test_progress_is_short(line: str, shown: list[str]) -> None:
    found = re.search(ECHO, HEAD + line)
    assert found
    assert [part for part in found.groups() if part] == shown


def test_other_lines_are_not_shown() -> None:
    assert not re.search(ECHO, HEAD + "Model structure: loss=none")
