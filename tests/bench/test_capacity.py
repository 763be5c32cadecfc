"""How many streams are served: the search for it, and the operations it is set against."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.bench import capacity
from xlsrt.bin import bench
from xlsrt.encoder import streaming
from xlsrt.errors import UserError

CONTEXT = AttentionContext(32, 32, 16)


def test_operations_are_those_of_a_step() -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny")).eval()
    encoder.set_packing(False)
    state = encoder.init_state(1, CONTEXT)
    # The counter does not know the fused attention of CPUs.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        streaming.encode_chunk(encoder, torch.randn(1, 80 + 32 * 320), state, None)
    assert counter.get_total_flops() == capacity.chunk_operations(encoder.config, CONTEXT)


def test_the_most_streams_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 ms for a batch, and 1 s in 2 of 100 ticks while more than ten batches are served."""
    calls = iter(range(10**6))

    def tick(step: object, packet: object, states: list[object]) -> float:
        slow = len(states) > 10 and next(calls) % 50 == 0
        return 1.0 if slow else 0.05 * len(states)

    monkeypatch.setattr(capacity, "tick", tick)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny")).eval()
    found = capacity.serve(encoder, CONTEXT, batch=2, ticks=100)
    assert (found.streams, found.tick_seconds) == (20, pytest.approx(0.5))
    assert found.rate == pytest.approx(2 * capacity.chunk_operations(encoder.config, CONTEXT) / 0.05)
    monkeypatch.setattr(capacity, "tick", lambda *_: 0.7)
    assert capacity.serve(encoder, CONTEXT, batch=2, ticks=10).streams == 0


def test_the_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    command = "encoder --preset tiny --cases streams --streams_batch 1 --ticks 1 --streams_dtype float32"
    bench.main(command.split())
    assert "streams in real time, 99 % of ticks within" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said() -> None:
    with pytest.raises(UserError, match="PyTorch sees no CUDA device here; use --device cpu"):
        bench.main(["encoder", "--preset", "tiny", "--device", "cuda"])
