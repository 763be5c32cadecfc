"""States: stacking, selecting, resetting, size, and what is refused."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder import EncoderState
from xlsrt.errors import UserError

SMALL = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64}
CONTEXT = AttentionContext(8, 16, 3)


@pytest.fixture(scope="module")
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval()


def same(one: EncoderState, other: EncoderState) -> bool:
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def advanced(encoder: XlsrEncoder, context: AttentionContext, sizes: list[int]) -> EncoderState:
    lens = torch.tensor(sizes)
    wav = torch.randn(len(sizes), max(sizes), generator=torch.Generator().manual_seed(1))
    return encoder.step(wav, encoder.init_state(len(sizes), context), lens)[2]


@pytest.mark.parametrize("context", [CONTEXT, AttentionContext(8), AttentionContext.full()], ids=str)
def test_unstack_and_stack_are_inverse(encoder: XlsrEncoder, context: AttentionContext) -> None:
    state = advanced(encoder, context, [9000, 0, 3333, 20000])
    assert same(EncoderState.stack(state.unstack()), state)
    picked = state.select([3, 1])
    assert same(picked.select([1]), state.select([1])) and same(picked.select([0]), state.select([3]))
    assert same(state.select(torch.tensor([2, 2])).unstack()[1], state.select([2]))


def test_reset_streams_are_new_streams(encoder: XlsrEncoder) -> None:
    state = advanced(encoder, CONTEXT, [9000, 5000]).reset([0])
    assert same(state.select([0]), encoder.init_state(1, CONTEXT))
    assert same(state.select([1]), advanced(encoder, CONTEXT, [9000, 5000]).select([1]))


def test_step_leaves_the_state_it_was_given(encoder: XlsrEncoder) -> None:
    state = advanced(encoder, CONTEXT, [9000, 5000])
    copy = EncoderState.stack([state])
    packet = torch.randn(2, 7000)
    first = encoder.step(packet, state)
    assert same(state, copy)
    again = encoder.step(packet, state)
    assert torch.equal(first[0], again[0]) and same(first[2], again[2])


def test_state_bytes_follow_the_context(encoder: XlsrEncoder) -> None:
    config = encoder.config
    for left, sinks in ((0, 0), (16, 3), (32, 0)):
        state = encoder.init_state(2, AttentionContext(8, left, sinks))
        cache = 2 * config.num_layers * (left + sinks) * config.hidden_size * 4 + (left + sinks) * 8
        past = 64 * config.hidden_size * 4
        assert state.state_bytes == 2 * (cache + past + 16 + 3 * 8)
    growing = AttentionContext(8)
    assert (
        advanced(encoder, growing, [40000]).state_bytes > 3 * advanced(encoder, growing, [8000]).state_bytes
    )


def test_unbounded_streams_end_with_a_clear_error() -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **SMALL, max_stream_seconds=1.0)).eval()
    for context in (AttentionContext(8), AttentionContext.full()):
        state = encoder.init_state(1, context)
        _, _, state = encoder.step(torch.zeros(1, 16000), state)
        with pytest.raises(UserError, match=r"max_stream_seconds \(1 s\).*Bound the left context") as caught:
            encoder.step(torch.zeros(1, 1), state)
        for place in (
            "from_pretrained(source, max_stream_seconds=...)",
            "encoder_conf.config in its config.yaml",
        ):
            assert place in str(caught.value)
        # A shard of a decoding tells its parent.
        told = pickle.loads(pickle.dumps(caught.value))
        assert (str(told), told.rows) == (str(caught.value), [0])
        assert encoder.flush(state)[1].tolist() == [1 if context.is_full is False else 49]
    state = encoder.init_state(1, CONTEXT)
    assert encoder.step(torch.zeros(1, 32000), state)[1].tolist() == [96]


def test_wrong_states_are_refused(encoder: XlsrEncoder) -> None:
    state = encoder.init_state(2, CONTEXT)
    packet = torch.zeros(2, 100)
    with pytest.raises(UserError, match="the packet is of 3 stream"):
        encoder.step(torch.zeros(3, 100), state)
    torch.manual_seed(5)
    other = XlsrEncoder(XlsrConfig.preset("tiny", **SMALL)).eval()
    with pytest.raises(UserError, match="another model"):
        other.step(packet, state)
    with pytest.raises(UserError, match="another model"):
        other.flush(state)
    other.load_state_dict(encoder.state_dict())
    assert other.step(packet, state)[2].batch_size == 2  # the same weights are the same model
    for name, parameter in other.named_parameters():  # an adapted model may differ in one of them alone
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.mul_(1.5).add_(0.1)
        with pytest.raises(UserError, match="weights have changed"):
            other.step(packet, state)
        assert other.init_state(1, CONTEXT).model != state.model, name
        with torch.no_grad():
            parameter.copy_(kept)
        assert other.step(packet, state)[2].batch_size == 2
    with torch.no_grad():
        other.masked_spec_embed.add_(1.0)
    with pytest.raises(UserError, match="weights have changed"):
        other.step(packet, state)
    with pytest.raises(UserError, match="state must be"):
        encoder.step(packet, None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="different contexts"):
        EncoderState.stack([state, encoder.init_state(1, AttentionContext(8, 8))])
    with pytest.raises(UserError, match="different models"):
        EncoderState.stack([state, other.init_state(1, CONTEXT)])
    with pytest.raises(UserError, match="different types"):
        EncoderState.stack([state, state.with_tensors(keys=state.keys.double())])
    with pytest.raises(UserError, match="at least one state"):
        EncoderState.stack([])
    for odd in (["a"], "a", state, None, [state, None]):
        with pytest.raises(UserError, match="stack takes states"):
            EncoderState.stack(odd)  # type: ignore[arg-type]
    for wrong in ([], [2], [-1], [0.5], torch.tensor([True, False]), slice(0, 1), None, "a", [2**70]):
        with pytest.raises(UserError, match="stream"):
            state.select(wrong)  # type: ignore[arg-type]


def test_any_iterable_of_states_is_stacked(encoder: XlsrEncoder) -> None:
    state = advanced(encoder, CONTEXT, [9000, 5000])
    assert same(EncoderState.stack(one for one in state.unstack()), state)
    assert same(EncoderState.stack(dict(enumerate(state.unstack())).values()), state)
    assert encoder.init_state(np.int64(2), CONTEXT).batch_size == 2  # type: ignore[arg-type]


def test_states_of_other_types_or_nowhere_are_refused(encoder: XlsrEncoder) -> None:
    state, packet = encoder.init_state(1, CONTEXT), torch.zeros(1, 100)
    way_out = r"encoder.to\(dtype\) and begin anew with init_state"
    with pytest.raises(UserError, match="to a device, not to torch.bfloat16.*" + way_out):
        state.to(torch.bfloat16)  # type: ignore[arg-type]
    cases = (("past", torch.bfloat16), ("samples", torch.float64), ("seen", torch.int32))
    for name, dtype in (*cases, ("sums", torch.float32)):
        odd = state.with_tensors(**{name: getattr(state, name).to(dtype)})
        for use in (lambda: encoder.step(packet, odd), lambda: encoder.flush(odd)):  # noqa: B023
            with pytest.raises(UserError, match=f"the state's {name} are {dtype}.*{way_out}"):
                use()
    nowhere = ["banana", None, *([] if torch.cuda.is_available() else ["cuda", "cuda:1"])]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = encoder.step(packet, encoder.init_state(1, CONTEXT))[2]
        assert encoder.step(packet, encoder.step(packet, state)[2])[2].keys.dtype == torch.float32
    for odd in (rounded, state.with_tensors(keys=state.keys.double())):
        for use in (lambda: encoder.step(packet, odd), lambda: encoder.flush(odd)):  # noqa: B023
            with pytest.raises(UserError, match=f"the state's keys are {odd.keys.dtype}.*{way_out}"):
                use()
    for device in nowhere:
        with pytest.raises(UserError, match=f"cannot go to {device!r}.*a device of this machine"):
            state.to(device)  # type: ignore[arg-type]
    assert same(state.to("cpu"), state)


def test_what_cannot_stream_says_why(encoder: XlsrEncoder) -> None:
    with pytest.raises(UserError, match="to stream, use input_norm: causal"):
        XlsrEncoder(XlsrConfig.preset("tiny", input_norm="utterance")).init_state(1, CONTEXT)
    with pytest.raises(UserError, match="group norm"):
        XlsrEncoder(XlsrConfig.preset("tiny", feat_extract_norm="group")).init_state(1, CONTEXT)
    for size in (0, -1, 1.5, True):
        with pytest.raises(UserError, match="batch_size"):
            encoder.init_state(size, CONTEXT)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="AttentionContext"):
        encoder.init_state(1, {"chunk_ms": 640})  # type: ignore[arg-type]


def test_bad_audio_is_refused_by_name(encoder: XlsrEncoder) -> None:
    state = encoder.init_state(2, CONTEXT)
    bad = torch.zeros(2, 1000)
    bad[1, 77] = float("nan")
    loud = torch.zeros(2, 1000)
    loud[0, 5] = float("inf")
    cases = [
        (bad, None, "utterance 1 of the batch holds nan at sample 77"),
        (loud, None, "utterance 0 of the batch holds inf at sample 5"),
        (torch.zeros(2, 1000, dtype=torch.int16), None, r"must hold floats.*/ 32768"),
        (torch.zeros(2, 1000).to(torch.float8_e4m3fn), None, "must hold floats, not torch.float8"),
        (torch.zeros(1000), None, r"wav\[None, :\]"),
        ([0.0], None, "torch tensor"),
        (torch.zeros(0, 10), None, "no utterance"),
        (torch.zeros(2, 1000), torch.tensor([1000, 1001]), "between 0 and the 1000 samples"),
        (torch.zeros(2, 1000), torch.tensor([-1, 5]), "between 0 and the 1000 samples"),
        (torch.zeros(2, 1000), np.array([1001, 5], dtype=np.uint64), "between 0 and the 1000 samples"),
        (torch.zeros(2, 1000), torch.tensor([5]), r"shape \(2,\)"),
        (torch.zeros(2, 1000), torch.tensor([5.0, 6.0]), "whole numbers"),
        (torch.zeros(2, 1000), "abc", "lengths must be a tensor.*not 'abc'"),
        (torch.zeros(2, 1000), [1, None], "lengths must be a tensor"),
    ]
    for wav, lens, says in cases:
        with pytest.raises(UserError, match=says):
            encoder(wav, lens, CONTEXT)
        with pytest.raises(UserError, match=says):
            encoder.step(wav, state, lens)
    with pytest.raises(UserError, match="must be an AttentionContext"):
        encoder(torch.zeros(2, 1000), None, {"chunk_ms": 640})  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["none", "causal"])
def test_samples_beyond_any_recording_are_refused_and_no_others(norm: str) -> None:
    """Squares of 1e30 overflow: frames would be NaN; those of 1e20 would all be alike."""
    torch.manual_seed(0)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **SMALL, input_norm=norm)).eval()
    wav, state = torch.randn(1, 9000), encoder.init_state(1, CONTEXT)
    for loud in (1e30, 1e20, 1e13):
        for use in (lambda: encoder(wav * loud), lambda: encoder.step(wav * loud, state)):  # noqa: B023
            with pytest.raises(UserError, match=r"holds -?\d.*at sample 0, beyond 4294967296.*to -1 ... 1"):
                use()
    with torch.no_grad():
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            y = encoder.to(dtype)(wav * (2.0**32 / wav.abs().max()))[0]
            assert torch.isfinite(y).all() and y.double().std(1).mean() > 0.01
