"""Incremental encoding: chunk by chunk, with caches, equal to the masked forward of the whole utterance.

Shapes: B streams, S samples, W waiting samples, C frames of a chunk, F frames of one pass (C, or fewer at the
end), P past frames of the position convolution, M cached frames, K = M + F keys, L layers, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xlsrt.context import AttentionContext, whole
from xlsrt.encoder.attention import attend, never_blind
from xlsrt.encoder.checks import check_wav
from xlsrt.encoder.normalize import normalize_causal, valid_mask
from xlsrt.encoder.state import EncoderState, widen
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

if TYPE_CHECKING:
    from xlsrt.encoder.encoder import XlsrEncoder


class StreamTooLong(UserError):
    """Streams would exceed ``max_stream_seconds``. ``rows``: which of the batch."""

    def __init__(self, message: str, rows: list[int]) -> None:
        super().__init__(message)
        self.rows = rows

    def __reduce__(self) -> tuple[type[StreamTooLong], tuple[str, list[int]]]:
        # Shards of a decoding tell their parent of it.
        return type(self), (str(self), self.rows)


PER_CHUNK = {"frames": 0, "past": 0, "positions": 0, "keys": 1, "values": 1}
"""What a pass over a chunk changes in the state, and where its batch dimension is."""


TYPES = {
    **dict.fromkeys(("seen", "waiting", "frames", "positions"), torch.long),
    "sums": torch.float64,
}
"""Types of a state's tensors that are the same for all encoders."""


class CachedPlan:
    """Attention of one chunk over the cache and itself; gathers what the next chunk may still see.

    state: the streams before the chunk; lens (B,) valid frames of the chunk, None = all of its ``frames``.
    """

    def __init__(self, state: EncoderState, frames: int, lens: Tensor | None) -> None:
        context = state.context
        assert context.chunk_frames is not None
        self.cache = iter(zip(state.keys, state.values, strict=True))
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        first = state.frames[:, None]
        own = first + torch.arange(frames, device=first.device)
        if lens is not None:
            own = own.masked_fill(~valid_mask(lens, frames), -1)
        positions = torch.cat((state.positions, own), dim=1)  # (B, K)
        # All queries are of one chunk and share what they see.
        seen = context.visible(first, positions) & (positions >= 0)
        self.mask = never_blind(seen)[:, None, None, :]
        # Eviction is the same rule, asked by the first query of the next chunk.
        keep = context.visible(first + context.chunk_frames, positions) & (positions >= 0)
        width = context.cache_frames
        if width is None:
            width = int(keep.sum(1).max())
        self.order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]  # (B, M)
        self.positions = positions.masked_fill(~keep, -1).gather(1, self.order)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        """q, k, v (B, F, D) of the chunk -> (B, F, D). Called once per layer, in order."""
        old_k, old_v = next(self.cache)
        k, v = torch.cat((old_k, k.to(old_k.dtype)), dim=1), torch.cat((old_v, v.to(old_v.dtype)), dim=1)
        self.keys.append(self._kept(k))
        self.values.append(self._kept(v))
        return attend(q, k.to(q.dtype), v.to(q.dtype), heads, self.mask, dropout)

    def _kept(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            return x.index_select(1, self.order[0])
        return x.gather(1, self.order[:, :, None].expand(-1, -1, x.shape[2]))


def init_state(encoder: XlsrEncoder, batch_size: int, context: AttentionContext) -> EncoderState:
    """Streams that have heard nothing yet."""
    encoder.check_streams()
    batch_size = whole("batch_size", batch_size, 1, "streams")
    if not isinstance(context, AttentionContext):
        raise UserError(f"context must be an AttentionContext, not {type(context).__name__}")
    weight = encoder.masked_spec_embed
    device, size, layers = weight.device, encoder.config.hidden_size, encoder.config.num_layers
    cached = _cached_type(weight)
    width = context.cache_frames or 0
    past = 0 if context.is_full else encoder.encoder.pos_conv_embed.past
    return EncoderState(
        context=context,
        model=encoder.fingerprint(),
        seen=torch.zeros(batch_size, dtype=torch.long, device=device),
        sums=torch.zeros(batch_size, 2, dtype=torch.float64, device=device),
        samples=torch.zeros(batch_size, 0, dtype=weight.dtype, device=device),
        waiting=torch.zeros(batch_size, dtype=torch.long, device=device),
        frames=torch.zeros(batch_size, dtype=torch.long, device=device),
        past=torch.zeros(batch_size, past, size, dtype=weight.dtype, device=device),
        positions=torch.full((batch_size, width), -1, dtype=torch.long, device=device),
        keys=torch.zeros(layers, batch_size, width, size, dtype=cached, device=device),
        values=torch.zeros(layers, batch_size, width, size, dtype=cached, device=device),
    )


def _cached_type(weight: Tensor) -> torch.dtype:
    """Type of the keys and values that layers give now, under autocast or not."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def check_state(encoder: XlsrEncoder, state: EncoderState) -> None:
    """Raise `UserError` where the state is none, or none of this encoder."""
    if not isinstance(state, EncoderState):
        raise UserError(f"state must be what init_state or step gave, not {type(state).__name__}")
    if state.seen.device != encoder.masked_spec_embed.device:
        raise UserError(
            f"the state is on {state.seen.device}, the encoder on {encoder.masked_spec_embed.device}: "
            "use state.to(...)"
        )
    own = encoder.masked_spec_embed.dtype
    # Keys rounded under autocast would go on rounded where nothing else is.
    kept = own if state.keys.dtype == own else _cached_type(encoder.masked_spec_embed)
    for name, wanted in {**TYPES, "samples": own, "past": own, "keys": kept, "values": kept}.items():
        if (found := getattr(state, name).dtype) != wanted:
            raise UserError(
                f"the state's {name} are {found}, this encoder's streams have {wanted}: a state keeps the "
                "types it began with; to stream in another, use encoder.to(dtype) and begin anew with "
                "init_state"
            )
    if state.model != encoder.fingerprint():
        raise UserError(
            "this state was made by another model, or its weights have changed since: a stream ends with the "
            "model it began with; begin a new one with init_state"
        )


Encode = Callable[["XlsrEncoder", Tensor, EncoderState, "Tensor | None"], tuple[Tensor, EncoderState]]
"""`encode_chunk` or an equal of it."""


def step(
    encoder: XlsrEncoder,
    packet: Tensor,
    state: EncoderState,
    lens: Tensor | None,
    encode: Encode | None = None,
) -> tuple[Tensor, Tensor, EncoderState]:
    """See `XlsrEncoder.step`; ``encode`` None: `encode_chunk`."""
    encode = encode_chunk if encode is None else encode
    check_state(encoder, state)
    packet, sizes, padded = check_wav(packet, lens, state.seen.device)
    if packet.shape[0] != state.batch_size:
        raise UserError(
            f"the packet is of {packet.shape[0]} stream(s), the state of {state.batch_size}: pick streams "
            "with state.select, or give streams without news a length of 0"
        )
    _check_age(encoder, state, sizes)
    state = _receive(encoder, packet, sizes, padded, state)
    size = encoder.config.hidden_size
    chunk = state.context.chunk_frames
    if chunk is None:
        return packet.new_zeros(packet.shape[0], 0, size, dtype=state.samples.dtype), sizes * 0, state
    hop, need = encoder.config.hop, encoder.config.window + (chunk - 1) * encoder.config.hop
    outs: list[Tensor] = []
    taken = torch.zeros_like(state.waiting)
    for _ in range(int(_complete(state.waiting, need, chunk * hop).max())):
        ready = state.waiting - taken >= need
        everyone = bool(ready.all())
        rows = ready.nonzero()[:, 0]
        part = state if everyone else _rows(state, rows)
        wav = _windows(part.samples, taken[rows], need)
        y, advanced = encode(encoder, wav, part, None)
        if everyone:
            outs.append(y)
            state = advanced
        else:
            outs.append(y.new_zeros(packet.shape[0], chunk, size).index_copy(0, rows, y))
            state = _put_rows(state, rows, advanced)
        taken = taken + chunk * hop * ready
    if not outs:
        return packet.new_zeros(packet.shape[0], 0, size, dtype=state.samples.dtype), taken, state
    waiting = state.waiting - taken
    state = replace(
        state, samples=_windows(state.samples, taken, int(waiting.max()), waiting), waiting=waiting
    )
    return torch.cat(outs, dim=1), taken // hop, state


def flush(encoder: XlsrEncoder, state: EncoderState) -> tuple[Tensor, Tensor]:
    """See `XlsrEncoder.flush`."""
    check_state(encoder, state)
    if state.context.is_full:
        return encoder.encode(state.samples, state.waiting, state.context)
    config = encoder.config
    lens = config.num_frames(state.waiting)
    frames = int(lens.max())
    if frames == 0:
        return state.samples.new_zeros(state.batch_size, 0, config.hidden_size), lens
    y, _ = encode_chunk(encoder, state.samples[:, : config.window + (frames - 1) * config.hop], state, lens)
    return y.masked_fill(~valid_mask(lens, frames)[:, :, None], 0.0), lens


def encode_chunk(
    encoder: XlsrEncoder, wav: Tensor, state: EncoderState, lens: Tensor | None
) -> tuple[Tensor, EncoderState]:
    """One pass over a chunk: wav (B, 80 + 320 F) -> y (B, F, D) and the state after it, samples untouched.

    ``lens`` (B,) valid frames, None = all. Shapes depend on the context and the batch alone, as compilers
    like it.
    """
    x = encoder.features(wav, None)
    if lens is not None:
        x = x.masked_fill(~valid_mask(lens, x.shape[1])[:, :, None], 0.0)
    plan = CachedPlan(state, x.shape[1], lens)
    transformer = encoder.encoder
    h = transformer.enter(x, transformer.pos_conv_embed.step(state.past, x), False)
    for layer in transformer.layers:
        h = layer(h, plan, False)
    past = torch.cat((state.past, x.to(state.past.dtype)), dim=1)[:, x.shape[1] :]
    state = replace(
        state,
        frames=state.frames + x.shape[1],
        past=past.contiguous(),
        positions=plan.positions,
        keys=torch.stack(plan.keys),
        values=torch.stack(plan.values),
    )
    return transformer.leave(h), state


def _check_age(encoder: XlsrEncoder, state: EncoderState, sizes: Tensor) -> None:
    if state.context.cache_frames is not None:
        return
    most = encoder.config.max_stream_seconds
    rows = (state.seen + sizes > most * SAMPLE_RATE).nonzero()[:, 0].tolist()
    if rows:
        raise StreamTooLong(
            f"a stream is longer than max_stream_seconds ({most:g} s): its context ({state.context}) keeps "
            "all the past, so memory grows with it. Bound the left context, end the stream earlier, or raise "
            "max_stream_seconds, a field of the encoder's config: XlsrEncoder.from_pretrained(source, "
            "max_stream_seconds=...), or of an experiment encoder_conf.config in its config.yaml",
            rows,
        )


def _receive(
    encoder: XlsrEncoder, packet: Tensor, sizes: Tensor, padded: bool, state: EncoderState
) -> EncoderState:
    """Normalise a packet (B, S) and append it to the waiting samples."""
    seen, sums = state.seen + sizes, state.sums
    if packet.shape[1] == 0:
        return state
    if encoder.config.input_norm == "causal":
        with torch.autocast(packet.device.type, enabled=False):
            packet, sums = normalize_causal(packet, state.sums, state.seen, encoder.config)
    packet = packet.to(state.samples.dtype)
    width = state.samples.shape[1]
    waiting = state.waiting + sizes
    samples = torch.cat((state.samples, packet), dim=1)
    if padded or bool((state.waiting != width).any()):
        index = torch.arange(int(waiting.max()), device=packet.device)[None, :]
        old = state.waiting[:, None]
        index = torch.where(index < old, index, index - old + width).clamp(max=samples.shape[1] - 1)
        samples = samples.gather(1, index).masked_fill(~valid_mask(waiting, index.shape[1]), 0.0)
    return replace(state, seen=seen, sums=sums, samples=samples, waiting=waiting)


def _complete(waiting: Tensor, need: int, hop: int) -> Tensor:
    """How many chunks of ``hop`` samples, each seeing ``need`` samples, are complete."""
    return ((waiting - need) // hop + 1).clamp(min=0)


def _windows(samples: Tensor, starts: Tensor, size: int, lens: Tensor | None = None) -> Tensor:
    """(B, W) -> (B, size) from each stream's start on, zeros from its length on."""
    if bool((starts == starts[0]).all()):
        out = samples[:, int(starts[0]) : int(starts[0]) + size].contiguous()
    else:
        index = starts[:, None] + torch.arange(size, device=samples.device)
        out = samples.gather(1, index.clamp(max=samples.shape[1] - 1))
    return out if lens is None else out.masked_fill(~valid_mask(lens, out.shape[1]), 0.0)


def _rows(state: EncoderState, rows: Tensor) -> EncoderState:
    names = {**PER_CHUNK, "samples": 0}
    return replace(
        state, **{name: getattr(state, name).index_select(dim, rows) for name, dim in names.items()}
    )


def _put_rows(state: EncoderState, rows: Tensor, part: EncoderState) -> EncoderState:
    """``state`` with what a chunk changes replaced for some streams; growing caches take the wider width."""
    changed = {}
    for name, dim in PER_CHUNK.items():
        old, new = widen([getattr(state, name), getattr(part, name)], name)
        changed[name] = old.index_copy(dim, rows, new)
    return state.with_tensors(**changed)
