"""One stream's place in encoder and search, and the function that moves many of them forward together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrEncoder
from xlsrt.encoder.streaming import StreamTooLong
from xlsrt.recognizer.endpoint import CHECK_FRAMES, EndpointRules
from xlsrt.search import Hypothesis, Search
from xlsrt.units import FRAME_SECONDS, HOP


@dataclass(frozen=True)
class Engine:
    """What all streams of a recogniser share.

    Attributes:
        spaces: ids of tokens that write nothing but spaces. A model that spells may write one amid a pause,
            which stays a pause.
    """

    encoder: XlsrEncoder
    search: Search
    context: AttentionContext
    spaces: frozenset[int] = frozenset()

    def spoken(self, hypothesis: Hypothesis) -> list[int]:
        """The frames of the tokens that are said."""
        pairs = zip(hypothesis.tokens, hypothesis.frames, strict=True)
        return [frame for token, frame in pairs if token not in self.spaces]


@dataclass(frozen=True)
class Closed:
    """A segment that an endpoint rule closed; frames of 20 ms from the start of the stream."""

    hypothesis: Hypothesis
    start: int
    end: int


@dataclass(frozen=True)
class Line:
    """One stream.

    Attributes:
        encoder, search: their states, batches of one; no encoder's where recordings are masked whole.
        rules: endpoint rules or None.
        searched: frames searched. start: first frame of the open segment. look: frame at which the rules are
            looked at next.
        recent: samples from frame ``searched`` on, kept only for rules that restart the encoder.
        closed: segments closed since they were last handed out.
    """

    encoder: Any
    search: Any
    rules: EndpointRules | None
    recent: Tensor
    searched: int = 0
    start: int = 0
    look: int = CHECK_FRAMES
    closed: tuple[Closed, ...] = ()

    @property
    def restarts(self) -> bool:
        """Whether endpoints restart the encoder too."""
        return self.rules is not None and self.rules.restart_encoder


def open_line(engine: Engine, rules: EndpointRules | None) -> Line:
    """A stream before its first sample."""
    recent = next(engine.encoder.parameters()).new_zeros(0)
    return Line(engine.encoder.init_state(1, engine.context), engine.search.init_state(1), rules, recent)


@torch.no_grad()
def advance(engine: Engine, lines: Sequence[Line], packets: Sequence[Tensor]) -> list[Line]:
    """Samples (S,), S >= 0, for each stream -> the streams after them. The given lines stay valid.

    Raises:
        StreamTooLong: with the rows of the streams that would grow too old; no line has moved.
    """
    longest = size = max([1, *map(len, packets)])
    if any(line.restarts for line in lines):
        # What follows a restart is encoded again, and until then it ages the encoder: little at a time.
        size = min(longest, max(engine.context.chunk_frames or 0, CHECK_FRAMES) * HOP)
    moved = list(lines)
    for start in range(0, longest, size):
        moved = _advance(engine, moved, [packet[start : start + size] for packet in packets])
    return moved


def _advance(engine: Engine, lines: Sequence[Line], packets: Sequence[Tensor]) -> list[Line]:
    moved = list(lines)
    waiting = dict(enumerate(packets))
    while waiting:
        rows = list(waiting)
        try:
            enc, counts, states = _encode(
                engine.encoder, [moved[row].encoder for row in rows], list(waiting.values())
            )
        except StreamTooLong as error:
            raise StreamTooLong(str(error), [rows[row] for row in error.rows]) from None
        batch = []
        for row, state, packet in zip(rows, states, waiting.values(), strict=True):
            line = replace(moved[row], encoder=state)
            batch.append(replace(line, recent=torch.cat([line.recent, packet])) if line.restarts else line)
        waiting = {}
        for row, (line, again) in zip(rows, _search(engine, batch, enc, counts), strict=True):
            moved[row] = line
            if again is not None:
                waiting[row] = again
    return moved


@torch.no_grad()
def close(engine: Engine, lines: Sequence[Line]) -> list[Line]:
    """Search what is left in the encoders and the last incomplete groups: the streams have ended.

    What comes out here is less than a chunk, so it is never split by an endpoint.
    """
    if not lines:
        return []
    enc, counts = engine.encoder.flush(stacked([line.encoder for line in lines]))
    search = engine.search
    state = stacked([line.search for line in lines])
    state = search.drain(search.step(enc, counts, state))
    return [
        replace(line, search=row, searched=line.searched + count)
        for line, row, count in zip(lines, state.unstack(), counts.tolist(), strict=True)
    ]


@torch.no_grad()
def search_whole(
    engine: Engine, rules: EndpointRules, wavs: Sequence[Tensor]
) -> list[tuple[list[Closed], Hypothesis]]:
    """Whole recordings, each (S,), under the context's mask -> segments that closed, and the open one.

    What `advance` and `close` find in a recording's packets. Where the rules restart the encoder, each
    segment is masked anew from its first sample on.
    """
    search, device = engine.search, wavs[0].device
    lines = [Line(None, search.init_state(1), rules, torch.zeros(0, device=device)) for _ in wavs]
    rests: dict[int, Tensor] = {}
    waiting = dict(enumerate(wavs))
    while waiting:
        rows, given = list(waiting), list(waiting.values())
        enc, counts = engine.encoder(*pad([_needed(engine, rules, wav) for wav in given]), engine.context)
        # An endpoint never splits the last, incomplete chunk.
        chunk = engine.context.chunk_frames
        whole = counts if chunk is None else counts // chunk * chunk
        batch = [lines[row] for row in rows]
        if rules.restart_encoder:
            batch = [replace(line, recent=wav) for line, wav in zip(batch, given, strict=True)]
        waiting = {}
        for at, (line, again) in enumerate(_search(engine, batch, enc, whole)):
            lines[rows[at]] = line
            if again is not None:
                waiting[rows[at]] = again
            else:
                rests[rows[at]] = enc[at, whole[at] : counts[at]]
    padded, lens = pad([rests[row] for row in range(len(wavs))])
    state = search.drain(search.step(padded, lens, stacked([line.search for line in lines])))
    return [(list(line.closed), last) for line, last in zip(lines, search.best(state), strict=True)]


def _needed(engine: Engine, rules: EndpointRules, wav: Tensor) -> Tensor:
    """As many samples as the next segment can take, where what follows it is heard anew: as much silence as
    words.
    """
    chunk = engine.context.chunk_frames
    if not rules.restart_encoder or rules.max_seconds is None or chunk is None:
        return wav
    frames = 2 * (math.ceil(rules.max_seconds / FRAME_SECONDS / CHECK_FRAMES) + 1) * CHECK_FRAMES + chunk
    return wav[: (frames + 1) * HOP]


def pad(wavs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Waveforms (S,) or frames (T, D) -> (B, S) or (B, T, D) with zeros behind, and lengths (B,)."""
    lens = torch.tensor([len(wav) for wav in wavs], device=wavs[0].device)
    return torch.nn.utils.rnn.pad_sequence(list(wavs), batch_first=True), lens


def stacked(states: Sequence[Any]) -> Any:
    """States of encoders or searches as one batch; one alone is not copied."""
    return states[0] if len(states) == 1 else type(states[0]).stack(states)


def _encode(
    encoder: XlsrEncoder, states: Sequence[Any], packets: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Sequence[Any]]:
    padded, lens = pad(packets)
    enc, counts, state = encoder.step(padded, stacked(states), lens)
    return enc, counts, [state] if len(states) == 1 else state.unstack()


def _search(
    engine: Engine, lines: list[Line], enc: Tensor, counts: Tensor
) -> list[tuple[Line, Tensor | None]]:
    """Frames (B, T, D), counts (B,) -> the lines and the samples that a restarted encoder needs again."""
    search = engine.search
    state = stacked([line.search for line in lines])
    again: list[Tensor | None] = [None] * len(lines)
    if all(line.rules is None for line in lines):
        state = search.step(enc, counts, state)
        total = counts.tolist()
        lines = [replace(line, searched=line.searched + n) for line, n in zip(lines, total, strict=True)]
    else:
        done, total = [0] * len(lines), counts.tolist()
        while any(d < n for d, n in zip(done, total, strict=True)):
            sizes = [_block(line, n - d) for line, d, n in zip(lines, done, total, strict=True)]
            block, width = enc.new_zeros(len(lines), max(sizes), enc.size(2)), enc.size(1)
            for row, (start, size) in enumerate(zip(done, sizes, strict=True)):
                block[row, :size] = enc[row, start : min(start + size, width)]
            state = search.step(block, torch.tensor(sizes, device=enc.device), state)
            done = [d + size for d, size in zip(done, sizes, strict=True)]
            lines = [_moved(line, size) for line, size in zip(lines, sizes, strict=True)]
            state = _apply_rules(engine, lines, state, sizes, again)
            for row, samples in enumerate(again):
                if samples is not None:
                    done[row] = total[row]
    rows = state.unstack()
    return [(replace(line, search=row), rest) for line, row, rest in zip(lines, rows, again, strict=True)]


def _block(line: Line, left: int) -> int:
    """Frames up to the next one at which the rules are looked at, or to the end of what is there."""
    return left if line.rules is None else min(left, line.look - line.searched)


def _moved(line: Line, frames: int) -> Line:
    line = replace(line, searched=line.searched + frames)
    return replace(line, recent=line.recent[frames * HOP :]) if line.restarts else line


def _apply_rules(
    engine: Engine, lines: list[Line], state: Any, sizes: list[int], again: list[Tensor | None]
) -> Any:
    """Close the segments that their rules end; changes ``lines`` and ``again``, returns the search state."""
    due = [row for row, line in enumerate(lines) if sizes[row] and line.rules and line.searched == line.look]
    if not due:
        return state
    best = engine.search.best(state.select(due))
    closing = []
    for row, hypothesis in zip(due, best, strict=True):
        line = lines[row]
        assert line.rules is not None
        spoken = engine.spoken(hypothesis)
        if not line.rules.closes(line.searched, line.start, spoken):
            look = line.rules.next_look(line.searched, line.start, spoken)
            lines[row] = replace(line, look=look)
            continue
        closing.append(row)
        if spoken:
            line = replace(line, closed=(*line.closed, Closed(hypothesis, line.start, line.searched)))
        line = replace(line, start=line.searched, look=line.searched + CHECK_FRAMES)
        if line.restarts:
            again[row] = line.recent
            line = replace(line, recent=line.recent[:0])
            if line.encoder is not None:
                line = replace(line, encoder=engine.encoder.init_state(1, engine.context))
        lines[row] = line
    return engine.search.restart(state, closing)
