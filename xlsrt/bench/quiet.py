"""Does it matter where in a chunk or frame the words begin? Error rates with quiet before each utterance.

Both are counted from the start of a stream. A model trained on recordings that all begin shortly before
their first word may have learnt where that is; live, speech begins anywhere. Quiet is faint noise, 80 dB
below full scale: digital silence is in no microphone.
"""

from __future__ import annotations

import argparse

import numpy as np

from xlsrt.bench import trained
from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import load_samples, make_batches, read_set
from xlsrt.errors import UserError
from xlsrt.report.edits import Counts, align
from xlsrt.units import SAMPLE_RATE

HELP = "errors with quiet before each utterance: does it matter where in a chunk or frame speech begins?"
LEVEL = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench quiet``."""
    trained.add_arguments(parser)
    parser.add_argument(
        "--before_ms",
        type=int,
        nargs="+",
        default=[0, 165, 330, 495],
        help="of quiet, one row each (default: 0 165 330 495, each a quarter of a chunk of 640 and of a "
        "frame further on)",
    )


def run(args: argparse.Namespace) -> None:
    """Print the errors after each length of quiet."""
    if min(args.before_ms) < 0:
        raise UserError("--before_ms must not be negative")
    recognizer = trained.recognizer_of(args)
    entries, data = read_set(args.data_dir), DataDir(args.data_dir)
    texts = {u.utt: u.text or "" for u in data.utterances(need_text=True)}
    wavs = {entry.name: load_samples(data, entry) for entry in entries}
    batches = [[entry.name for entry in batch] for batch in make_batches(entries, 16, 240.0)]
    print(f"{len(entries)} utterances, {recognizer.context}")
    print(f"{'quiet before':>12}  {'WER':>6}  {'ins':>5} {'del':>5} {'sub':>5}  {'words':>6}")
    for ms in args.before_ms:
        counts = Counts()
        for names in batches:
            found = recognizer.transcribe_batch([with_quiet(wavs[name], ms) for name in names])
            pairs = zip(names, found, strict=True)
            counts += sum((align(texts[n].split(), r.text.split()).counts for n, r in pairs), Counts())
        kinds = f"{counts.ins:>5} {counts.dele:>5} {counts.sub:>5}"
        print(f"{ms:>9} ms  {counts.error_rate:>6.2f}  {kinds}  {counts.ref:>6}", flush=True)


def with_quiet(wav: np.ndarray, ms: int) -> np.ndarray:
    """Samples (S,) at 16 kHz with ``ms`` milliseconds of faint noise before them, always the same."""
    noise = np.random.default_rng(0).standard_normal(ms * SAMPLE_RATE // 1000).astype(np.float32)
    return np.concatenate([LEVEL * noise, wav])
