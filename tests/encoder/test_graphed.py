"""Steps through fixed buffers, as CUDA graphs replay them, against plain steps."""

from __future__ import annotations

import contextlib
import gc
import logging
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder import EncoderState, graphed
from xlsrt.encoder.graphed import GraphedStep

SMALL = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64}


@pytest.fixture(scope="module")
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval()


def stream(step: object, encoder: XlsrEncoder, context: AttentionContext) -> list[torch.Tensor]:
    """Unequal packets of three streams, every state used twice: a state given stays valid."""
    wav = torch.randn(3, 30000, generator=torch.Generator().manual_seed(0)) * 0.1
    state, given = encoder.init_state(3, context), []
    for number, packet in enumerate(wav.split(6000, dim=1)):
        lens = None if number < 2 else torch.tensor([6000, 6000 - 1500 * number, 100])
        again = step(packet, state, lens)  # type: ignore[operator]
        y, y_lens, state = step(packet, state, lens)  # type: ignore[operator]
        assert torch.equal(again[0], y)
        given += [y, y_lens, again[0], again[2].keys, again[2].positions]
    return [*given, *encoder.flush(EncoderState.stack([state]))]


@pytest.mark.parametrize(
    "context",
    [AttentionContext(8, 16, 3), AttentionContext(16, 0, 0), AttentionContext(8), AttentionContext.full()],
    ids=str,
)
def test_equals_step(encoder: XlsrEncoder, context: AttentionContext) -> None:
    wanted = stream(encoder.step, encoder, context)
    found = stream(GraphedStep(encoder), encoder, context)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape and (one - other).abs().sum() == 0


def test_one_chunk_per_batch_context_and_weights(encoder: XlsrEncoder) -> None:
    step = GraphedStep(encoder, most=2)

    def run(batch: int, context: AttentionContext) -> None:
        step(torch.randn(batch, 6000), encoder.init_state(batch, context))

    one, other = AttentionContext(8, 8, 0), AttentionContext(8, 8, 1)
    for batch, context, kept in ((1, one, 1), (1, one, 1), (2, one, 2), (1, other, 2)):
        run(batch, context)
        assert len(step._chunks) == kept
    weight = encoder.encoder.layers[0].feed_forward.output_dense.weight
    before = set(step._chunks)
    with torch.no_grad():
        weight.add_(0.1)
    run(1, other)
    assert set(step._chunks) - before


def test_failing_captures_are_said_once(
    encoder: XlsrEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(graphed.StaticChunk, "capture", fail)
    step = GraphedStep(encoder)
    for batch in (1, 2, 1):
        state = encoder.init_state(batch, AttentionContext(8, 8, 2))
        packet = torch.randn(batch, 6000)
        assert torch.equal(step(packet, state)[0], encoder.step(packet, state)[0])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "not permitted when stream is capturing): streams run without them" in caplog.text


class FakeGpus:
    """What capturing calls of torch.cuda, with its order of events; a replay computes on the CPU.

    ``devices`` and ``streams``: of each capture, those current in it. ``cached``: of each pass recorded,
    whether autocast could keep casts. ``broken``: the ends of captures fail.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current: object = SimpleNamespace(device="cuda:0", wait_stream=lambda other: None)
        self.device_now: object = "cuda:0"
        self.devices: list[object] = []
        self.streams: list[object] = []
        self.cached: list[bool] = []
        self.broken = False
        self.chunk: graphed.StaticChunk | None = None
        run, fake = graphed.StaticChunk._run, self

        def recorded(chunk: graphed.StaticChunk) -> None:
            self.chunk = chunk
            self.cached.append(torch.is_autocast_cache_enabled())
            run(chunk)

        class Graph:
            chunk: graphed.StaticChunk

            def replay(self) -> None:
                run(self.chunk)

        class Capture:
            """As torch's own: a failing end leaves the thread on the stream of the capture."""

            def __init__(self, graph: Graph, stream: object = None) -> None:
                self.graph = graph
                self.stream = SimpleNamespace(device="cuda:0") if stream is None else stream

            def __enter__(self) -> None:
                self.before, fake.current = fake.current, self.stream
                fake.streams.append(self.stream)
                fake.devices.append(fake.device_now)

            def __exit__(self, *error: object) -> None:
                if fake.broken:
                    raise RuntimeError("operation failed due to a previous error during capture")
                assert fake.chunk is not None
                self.graph.chunk, fake.current = fake.chunk, self.before

        monkeypatch.setattr(graphed.StaticChunk, "_run", recorded)
        monkeypatch.setattr(graphed.StaticChunk, "capture", graphed.StaticChunk._record)
        graphed._side_stream.cache_clear()
        for name, value in {
            "device": self.on_device,
            "stream": self.on_stream,
            "current_stream": lambda device: self.current,
            "set_stream": lambda stream: setattr(self, "current", stream),
            "Stream": lambda device: SimpleNamespace(device=device, wait_stream=lambda other: None),
            "CUDAGraph": Graph,
            "graph": Capture,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    @contextlib.contextmanager
    def on_device(self, device: object) -> Iterator[None]:
        before, self.device_now = self.device_now, device
        yield
        self.device_now = before

    @contextlib.contextmanager
    def on_stream(self, stream: object) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpus]:
    yield FakeGpus(monkeypatch)
    graphed._side_stream.cache_clear()


def stepped(step: GraphedStep, chunk_frames: int = 8) -> torch.Tensor:
    """One packet of one stream, the same every time, which must give what `XlsrEncoder.step` does."""
    context = AttentionContext(chunk_frames, 8, 2)
    packet = torch.randn(1, 6000, generator=torch.Generator().manual_seed(0)) * 0.1
    y = step(packet, step.encoder.init_state(1, context))[0]
    assert torch.equal(y, step.encoder.step(packet, step.encoder.init_state(1, context))[0])
    return y


def test_captures_on_the_encoders_gpu_whichever_is_current(encoder: XlsrEncoder, gpus: FakeGpus) -> None:
    step, before = GraphedStep(encoder), gpus.current
    for chunk_frames in (8, 16):
        stepped(step, chunk_frames)
    here = encoder.masked_spec_embed.device
    assert [stream.device for stream in gpus.streams] == gpus.devices == [here, here]
    assert gpus.streams[0] is gpus.streams[1], "one stream: libraries keep memory for each"
    assert gpus.current is before and gpus.device_now == "cuda:0"


def test_a_failed_capture_leaves_the_stream_that_was(
    encoder: XlsrEncoder, gpus: FakeGpus, caplog: pytest.LogCaptureFixture
) -> None:
    step, before, gpus.broken = GraphedStep(encoder), gpus.current, True
    for _ in range(2):
        stepped(step)
    assert gpus.current is before and len(gpus.streams) == 1
    assert caplog.text.count("streams run without them") == 1


def test_a_graph_holds_the_position_kernel_and_ends_with_it(encoder: XlsrEncoder, gpus: FakeGpus) -> None:
    """eval() makes the encoder drop its copy, which a graph still reads, and which may be of old weights."""
    step, position = GraphedStep(encoder), encoder.encoder.pos_conv_embed
    encoder.eval()
    stepped(step)
    stepped(step)
    assert position.kept is not None and len(gpus.streams) == 1
    kernels = [weakref.ref(kernel) for kernel in position.kept.values()]
    encoder.eval()
    assert all(kernel() is not None for kernel in kernels)
    stepped(step)
    stepped(step)
    gc.collect()
    assert len(gpus.streams) == 2 and all(kernel() is None for kernel in kernels)


def test_graphs_end_with_the_weights_whose_place_they_know(encoder: XlsrEncoder, gpus: FakeGpus) -> None:
    """The values are the same, so nothing else tells."""
    step = GraphedStep(encoder)
    stepped(step)
    weight = encoder.encoder.layers[1].feed_forward.output_dense.weight
    weight.data = weight.data.clone()
    stepped(step)
    kernel = encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original1
    with torch.no_grad():
        kernel.mul_(1.01)  # of it a graph reads a copy
    stepped(step)
    stepped(step)
    assert len(gpus.streams) == 3 and len(step._chunks) == 1


def test_graphs_end_with_a_kernel_that_was_edited_through_data(encoder: XlsrEncoder, gpus: FakeGpus) -> None:
    """PyTorch does not count it; a new stream does."""
    step = GraphedStep(encoder)
    before = stepped(step)
    encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original1.data.neg_()
    after = stepped(step)
    stepped(step)
    assert (after - before).abs().max() > 1e-3 and len(gpus.streams) == 2


def test_graphs_under_autocast_make_their_own_casts(encoder: XlsrEncoder, gpus: FakeGpus) -> None:
    step = GraphedStep(encoder)
    packet = torch.randn(1, 6000)
    with torch.autocast("cpu", torch.bfloat16):
        step(packet, encoder.init_state(1, AttentionContext(8, 8, 2)))
        assert torch.is_autocast_cache_enabled() and torch.is_autocast_enabled("cpu")
    assert gpus.cached and not any(gpus.cached)


def test_buffers_of_inference_mode_serve_outside_of_it(encoder: XlsrEncoder) -> None:
    step = GraphedStep(encoder)
    with torch.inference_mode():
        inside = stepped(step)
    assert torch.equal(stepped(step), inside)
    with torch.inference_mode():
        stepped(step)
    assert len(step._chunks) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captures need a GPU")
def test_graphs_equal_step_on_cuda() -> None:
    torch.manual_seed(0)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval().cuda()
    step, context = GraphedStep(encoder), AttentionContext(8, 16, 3)
    wav = torch.randn(3, 30000, device="cuda") * 0.1
    one = other = encoder.init_state(3, context)
    for packet in wav.split(6000, dim=1):
        y, _, one = step(packet, one)
        wanted, _, other = encoder.step(packet, other)
        assert y.shape == wanted.shape and (not y.numel() or (y - wanted).abs().max() <= 1e-4)
    assert step._captures and step._chunks
