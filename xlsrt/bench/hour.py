"""A long stream of recordings one after the other: does memory stay flat, do its words stay right?

The set's recordings are joined with pauses, again from the first when all are through, and go packet by
packet through one stream whose endpoint rules hand out finished words. Their word error rate is compared with
that of the same recordings decoded one by one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from xlsrt.bench import trained
from xlsrt.bench.loss import resident_bytes
from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import load_samples, read_set
from xlsrt.errors import UserError
from xlsrt.recognizer import EndpointRules, Recognizer
from xlsrt.report.edits import Counts, align
from xlsrt.units import SAMPLE_RATE

HELP = "an hour of one stream: memory, and words beside those of single recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench hour``."""
    trained.add_arguments(parser)
    parser.add_argument(
        "--seconds", type=float, default=3600, help="length of the stream (default: %(default)s)"
    )
    parser.add_argument(
        "--pause", type=float, default=1.5, help="seconds between recordings (default: %(default)s)"
    )
    parser.add_argument("--packet_ms", type=int, default=320, help="audio per packet (default: %(default)s)")
    parser.add_argument(
        "--restart_encoder",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the encoder begins anew where a pause closes a segment, as in conf/live_640ms.yaml",
    )


def run(args: argparse.Namespace) -> None:
    """Stream, decode one by one, print both."""
    if args.seconds < 60 or args.packet_ms < 1 or args.pause < 0:
        raise UserError("--seconds must be 60 or more, --packet_ms 1 or more, --pause not negative")
    recognizer = trained.recognizer_of(args)
    entries, data = read_set(args.data_dir), DataDir(args.data_dir)
    texts = {u.utt: u.text or "" for u in data.utterances(need_text=True)}
    count, total = 0, 0.0
    while total < args.seconds:
        total += entries[count % len(entries)].num_samples / SAMPLE_RATE + args.pause
        count += 1
    names = [entries[number % len(entries)].name for number in range(count)]
    joined = (entries[number % len(entries)] for number in range(count))
    wavs = (load_samples(data, entry) for entry in joined)
    text, minute, end = streamed(recognizer, wavs, args)
    alone = {}
    for entry in entries[:count]:
        alone[entry.name] = recognizer.transcribe(load_samples(data, entry)).text
    ref = [word for name in names for word in texts[name].split()]
    single = sum((align(texts[name].split(), alone[name].split()).counts for name in names), Counts())
    whole = align(ref, text.split()).counts
    named = args.decode_config or "the model's own search"
    print(f"{count} recordings, {total:.0f} s in one stream, {recognizer.context}, {named}")
    print(f"memory after a minute {minute / 1e6:.1f} MB, at the end {end / 1e6:+.1f} MB more")
    rates = f"WER in one stream {whole.error_rate:.2f} %, one by one {single.error_rate:.2f} %"
    print(f"{rates} ({whole.ref} words)")


def streamed(
    recognizer: Recognizer, wavs: Iterator[np.ndarray], args: argparse.Namespace
) -> tuple[str, int, int]:
    """The words of a stream, memory in use after its first minute, and what has been added at its end."""
    rules = EndpointRules(restart_encoder=args.restart_encoder)
    stream = recognizer.stream(endpoint=rules)
    size, sent, minute = args.packet_ms * SAMPLE_RATE // 1000, 0, None
    words: list[str] = []
    pause = np.zeros(round(args.pause * SAMPLE_RATE), dtype=np.float32)
    for wav in wavs:
        samples = np.concatenate([wav, pause])
        for start in range(0, len(samples), size):
            packet = samples[start : start + size]
            for result in stream.accept(packet).finished:
                words += result.text.split()
            sent += len(packet)
            if minute is None and sent >= 60 * SAMPLE_RATE:
                minute = resident_bytes()
    end = resident_bytes()
    words += stream.finish().text.split()
    assert minute is not None
    return " ".join(words), minute, end - minute
