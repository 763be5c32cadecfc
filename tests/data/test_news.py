from __future__ import annotations

import logging

import pytest

from xlsrt.data import news


def test_long_passes_tell_how_far_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert list(news.counted(range(3000), "x")) == list(range(3000))
    assert not caplog.messages, "short ones do not"
    monkeypatch.setattr(news, "NEWS_SECONDS", -1.0)
    assert list(news.counted(range(3000), "x")) == list(range(3000))
    assert caplog.messages == ["x: 1024 read", "x: 2048 read"]
