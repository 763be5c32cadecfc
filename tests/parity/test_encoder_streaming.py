"""What streams is what was trained: step and flush against the masked forward, number for number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder import EncoderState

BOUND = {torch.float64: 1e-9, torch.float32: 1e-4}
MOST = 40000
PROPERTY = settings(
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)


def build(**overrides: object) -> XlsrEncoder:
    torch.manual_seed(0)
    small = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64, **overrides}
    return XlsrEncoder(XlsrConfig.preset("tiny", **small)).eval()


ENCODERS = {dtype: build().to(dtype) for dtype in BOUND}
POST_NORM = build(layer_norm_first=False, input_norm="none", pos_conv_kernel=31).double()


def chunked(most: int) -> st.SearchStrategy[AttentionContext]:
    left = st.one_of(st.none(), st.just(0), st.integers(0, 140), st.integers(1, 2 * most))
    return st.builds(AttentionContext, st.integers(1, most), left, st.one_of(st.just(0), st.integers(0, 64)))


# Weighted: a short utterance, or one of a single chunk, does not try the caches.
contexts = st.one_of(st.just(AttentionContext.full()), chunked(128), chunked(24), chunked(8), chunked(24))
lengths = st.one_of(st.integers(0, 900), *[st.integers(9000, MOST)] * 3, st.integers(0, MOST))
cuts = st.lists(
    st.one_of(st.sampled_from([0, 1, 319, 320, 400, 10240, 10320, MOST]), st.integers(0, 9000)), max_size=12
)


def signal(seed: int, samples: int, dtype: torch.dtype) -> torch.Tensor:
    """Loud and quiet stretches on an offset: normalisation has something to follow."""
    generator = torch.Generator().manual_seed(seed)
    wav = torch.randn(samples, generator=generator, dtype=torch.float64)
    return (wav * (0.02 + 0.2 * (torch.arange(samples) // 7000 % 2)) + 0.01).to(dtype)


def whole(encoder: XlsrEncoder, wav: torch.Tensor, context: AttentionContext) -> torch.Tensor:
    with torch.no_grad():
        return encoder(wav[None], None, context)[0][0]


def assert_equal(parts: list[torch.Tensor], reference: torch.Tensor) -> None:
    got = torch.cat(parts) if parts else reference[:0]
    assert got.shape == reference.shape
    if got.numel():
        assert (got - reference).abs().max() <= BOUND[reference.dtype]


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_any_cut_of_one_stream(dtype: torch.dtype) -> None:
    encoder = ENCODERS[dtype]

    @PROPERTY
    @given(contexts, lengths, cuts)
    @example(AttentionContext(4, 6, 3), 30000, [5000, 1, 9000])
    @example(AttentionContext(2, 0, 64), 30000, [5000])
    @example(AttentionContext(32, 32, 16), MOST, [10320, 10240])
    def check(context: AttentionContext, samples: int, packets: list[int]) -> None:
        wav = signal(samples, samples, dtype)
        state = encoder.init_state(1, context)
        parts, at = [], 0
        for size in [*packets, samples]:
            y, y_lens, state = encoder.step(wav[None, at : at + size], state)
            at = min(samples, at + size)
            assert y.shape == (1, int(y_lens), 32)
            parts.append(y[0])
        y, y_lens = encoder.flush(state)
        assert y.shape == (1, int(y_lens), 32)
        assert_equal([*parts, y[0]], whole(encoder, wav, context))

    check()


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_streams_that_join_and_leave_a_batch(dtype: torch.dtype) -> None:
    """A pool of streams: they start late, advance by unequal packets, end at any time.

    Their batch mates never show.
    """
    encoder = ENCODERS[dtype]
    stream = st.tuples(st.integers(0, 5), lengths, st.lists(st.integers(0, 12000), min_size=1, max_size=6))

    @PROPERTY
    @given(contexts, st.lists(stream, min_size=1, max_size=5))
    def check(context: AttentionContext, plans: list[tuple[int, int, list[int]]]) -> None:
        wavs = [signal(number, plan[1], dtype) for number, plan in enumerate(plans)]
        parts: list[list[torch.Tensor]] = [[] for _ in plans]
        at = [0] * len(plans)
        live: list[int] = []
        pool: EncoderState | None = None
        tick = 0
        while live or any(plan[0] >= tick for plan in plans):
            new = [number for number, plan in enumerate(plans) if plan[0] == tick]
            if new:
                fresh = encoder.init_state(len(new), context)
                pool = fresh if pool is None else EncoderState.stack([pool, fresh])
                live += new
            if pool is not None:
                sizes = []
                for number in live:
                    start, samples, packets = plans[number]
                    age = tick - start
                    size = packets[age] if age < len(packets) else samples
                    sizes.append(min(size, samples - at[number]))
                packet = torch.full((len(live), max(sizes)), float("nan"), dtype=dtype)
                for row, (number, size) in enumerate(zip(live, sizes, strict=True)):
                    packet[row, :size] = wavs[number][at[number] : at[number] + size]
                    at[number] += size
                y, y_lens, pool = encoder.step(packet, pool, torch.tensor(sizes))
                for row, number in enumerate(live):
                    parts[number].append(y[row, : y_lens[row]])
                    assert (y[row, y_lens[row] :] == 0).all()
                ended = [
                    row
                    for row, n in enumerate(live)
                    if at[n] == len(wavs[n]) and tick - plans[n][0] >= len(plans[n][2])
                ]
                if ended:
                    y, y_lens = encoder.flush(pool.select(ended))
                    for i, row in enumerate(ended):
                        parts[live[row]].append(y[i, : y_lens[i]])
                    stay = [row for row in range(len(live)) if row not in ended]
                    live = [live[row] for row in stay]
                    pool = pool.select(stay) if stay else None
            tick += 1
        for number, wav in enumerate(wavs):
            assert_equal(parts[number], whole(encoder, wav, context))

    check()


def test_post_norm_and_an_odd_position_kernel() -> None:
    wav = signal(5, 30000, torch.float64)
    for context in (AttentionContext(9, 5, 2), AttentionContext(40, 0, 0), AttentionContext(16, None, 0)):
        state = POST_NORM.init_state(1, context)
        parts = []
        for packet in wav.split(4567):
            y, _, state = POST_NORM.step(packet[None], state)
            parts.append(y[0])
        assert_equal([*parts, POST_NORM.flush(state)[0][0]], whole(POST_NORM, wav, context))


@pytest.mark.parametrize(
    "context", [AttentionContext(8, 16, 4), AttentionContext(16, 0), AttentionContext(1, 2, 1)], ids=str
)
def test_causality_probe_on_the_stream(context: AttentionContext) -> None:
    """Perturb every sample not yet heard: what was given out stays, bit for bit.

    And so does the masked forward.
    """
    encoder = ENCODERS[torch.float64]
    wav = signal(9, 40000, torch.float64)
    heard = 20000
    state = encoder.init_state(1, context)
    _, y_lens, _ = encoder.step(wav[None, :heard], state)
    other = wav.clone()
    other[heard:] = torch.rand(len(wav) - heard, dtype=torch.float64) * 9 - 2
    frames = int(y_lens)
    one, two = whole(encoder, wav, context), whole(encoder, other, context)
    assert frames > 40
    assert (one[:frames] - two[:frames]).abs().max() == 0
    assert (one[frames:] - two[frames:]).abs().max() > 1e-3


def test_a_long_stream_stays_exact_and_bounded() -> None:
    encoder = ENCODERS[torch.float32]
    context = AttentionContext(16, 24, 5)
    wav = signal(1, 16000 * 60, torch.float32)
    state = encoder.init_state(1, context)
    parts, sizes = [], []
    for packet in wav.split(5120):
        y, _, state = encoder.step(packet[None], state)
        parts.append(y[0])
        sizes.append(state.state_bytes)
    assert max(sizes[4:]) == max(sizes[:4])
    assert_equal([*parts, encoder.flush(state)[0][0]], whole(encoder, wav, context))
