"""Which CPUs get bfloat16."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from xlsrt.encoder.precision import multiplies_bfloat16


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    multiplies_bfloat16.cache_clear()
    yield
    multiplies_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx2": True, "avx512_f": False, "avx512_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": False}, False),  # PyTorch would emulate it
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "arm64", "neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_capabilities(monkeypatch: pytest.MonkeyPatch, known: dict[str, object], expected: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert multiplies_bfloat16() is expected


def test_torch_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert multiplies_bfloat16() is False
