"""Decode a set in shards: what a shard has finished is kept, so a run that was killed continues."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import Entry, load_samples, make_batches, read_set
from xlsrt.decoding import outputs
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.units import SAMPLE_RATE

if TYPE_CHECKING:
    from xlsrt.decoding.engine import Decoder

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 10.0
MASKED_SECONDS = 240.0
"""The encoder hears all audio of a batch at once."""
STREAMING_SECONDS = 1200.0
"""Where the cache does not grow only the waveforms count, and long recordings are faster side by side."""


@dataclass(frozen=True)
class Job:
    """One decoding run.

    Attributes:
        exp_dir: experiment directory. model_file: checkpoint in it; None: the best that is there.
        config: how to decode. data_dir: Kaldi data directory.
        output_dir: receives `xlsrt.decoding.outputs.FILES` and ``logdir/``.
        nj: number of shards. ngpu: GPUs that the shards share; 0: CPU.
        batch_size: utterances of a batch, at most. batch_seconds: padded audio of a batch, at most; None: as
            the mode bears.
        num_threads: CPU threads of each shard; 0: one, or as many as a queue's command asks for.
        also: configurations that ask the same of the encoder, each with its output_dir. Their shards are
            decoded along; a run of their own then has only the final files to write.
    """

    exp_dir: Path
    model_file: str | None
    config: DecodeConfig
    data_dir: Path
    output_dir: Path
    nj: int = 1
    ngpu: int = 0
    batch_size: int = 16
    batch_seconds: float | None = None
    num_threads: int = 0
    also: tuple[tuple[DecodeConfig, Path], ...] = ()

    @property
    def most_seconds(self) -> float:
        """Padded audio of a batch at most."""
        if self.batch_seconds is not None:
            return self.batch_seconds
        bounded = self.config.mode == "streaming" and self.config.context.cache_frames is not None
        return STREAMING_SECONDS if bounded else MASKED_SECONDS

    @property
    def jobs(self) -> list[Job]:
        """This one and those beside it, each by itself."""
        own = replace(self, also=())
        return [own, *(replace(own, config=config, output_dir=folder) for config, folder in self.also)]

    def check(self) -> None:
        """Raise `UserError` for numbers that make no sense, before anything is loaded."""
        for name in ("nj", "batch_size", "batch_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"--{name} {value} must be positive")
        if self.ngpu < 0 or self.num_threads < 0:
            raise UserError("--ngpu and --num_threads must not be negative")
        folders = [one.output_dir.absolute() for one in self.jobs]
        if twice := [folder for folder in folders if folders.count(folder) > 1]:
            raise UserError(f"--also: two decodings would write to {twice[0]}: name a folder for each")
        for config, folder in self.also:
            if not self.config.hears_as(config):
                raise UserError(
                    f"--also ... {folder}: its context, mode and packet_ms must be those of --decode_config, "
                    "and neither may have an endpoint; decode it by itself"
                )


def decode(job: Job) -> None:
    """Decode everything that is not decoded yet, in ``job.nj`` processes, and merge."""
    job.check()
    entries = read_set(job.data_dir)
    fingerprint = fingerprint_of(job, entries)
    if outputs.is_merged(job.output_dir, fingerprint):
        log.info("%s is decoded already", job.output_dir)
        return
    for one in job.jobs:  # told before the work where that cannot be
        one.output_dir.mkdir(parents=True, exist_ok=True)
    kept = outputs.kept_results(job.output_dir, fingerprint)
    todo = [entry for entry in entries if entry.name not in kept]
    if kept and todo:
        log.info(
            "continuing: %d of %d utterances are decoded already", len(entries) - len(todo), len(entries)
        )

    def names(number: int) -> set[str]:
        return {entry.name for entry in shard_of(entries, number, job.nj)}

    shards = [number for number in range(1, job.nj + 1) if not kept.keys() >= names(number)]
    if len(shards) == 1:
        decode_shard(job, shards[0])
    elif shards:
        _in_processes(job, shards)
    merge(job)


def decode_shard(job: Job, number: int) -> None:
    """Decode shard ``number`` of ``job.nj`` (counted from 1), in this process; `merge` when all are done."""
    job.check()
    if not 1 <= number <= job.nj:
        raise UserError(f"--job {number} is not between 1 and --nj {job.nj}")
    entries = read_set(job.data_dir)
    jobs = job.jobs
    fingerprints = [fingerprint_of(one, entries) for one in jobs]
    kept = [outputs.kept_results(one.output_dir, of) for one, of in zip(jobs, fingerprints, strict=True)]
    todo = [entry for entry in shard_of(entries, number, job.nj) if entry.name not in kept[0]]
    if not todo:
        return
    decoder = _decoder(job, number)
    data = DataDir(job.data_dir)
    parent, start, said, done, seconds = os.getppid(), time.monotonic(), 0.0, 0, 0.0
    for batch in make_batches(todo, job.batch_size, job.most_seconds):
        found = decoder([entry.name for entry in batch], [load_samples(data, entry) for entry in batch])
        for one, fingerprint, had, results in zip(jobs, fingerprints, kept, found, strict=True):
            new = [result for result in results if result.utt not in had]
            outputs.append_results(one.output_dir, number, fingerprint, new)
        done += len(batch)
        seconds += sum(entry.num_samples for entry in batch) / SAMPLE_RATE
        elapsed = time.monotonic() - start
        if elapsed - said > PROGRESS_SECONDS or done == len(todo):
            said = elapsed
            speed = seconds / max(elapsed, 1e-9)
            log.info(
                "shard %d of %d: %d of %d utterances, %.1f x real time",
                number,
                job.nj,
                done,
                len(todo),
                speed,
            )
        if os.getppid() != parent:
            # The run that started this shard was killed: its successor must not find two writers.
            return


def merge(job: Job) -> None:
    """Write the final files once every shard is done, and ``decoding.json``: what was done, how fast."""
    entries = read_set(job.data_dir)
    fingerprint = fingerprint_of(job, entries)
    outputs.mark_merged(job.output_dir, None)
    kept = outputs.merge(job.output_dir, fingerprint, [entry.name for entry in entries])
    audio = sum(result.audio_seconds for result in kept)
    factor = sum(result.wall_seconds for result in kept) / max(audio, 1e-9)
    facts = {
        "exp_dir": str(job.exp_dir),
        "model_file": _model_files(job)[0].name,
        "data_dir": str(job.data_dir),
        "context": job.config.context.to_dict(),
        "search": dict(job.config.search),
        "mode": job.config.mode,
        "packet_ms": job.config.packet_ms,
        "nbest": job.config.nbest,
        "endpoint": job.config.endpoint and asdict(job.config.endpoint),
        "utterances": len(kept),
        "audio_seconds": round(audio, 3),
        "real_time_factor": round(factor, 6),
    }
    write_text(job.output_dir / "decoding.json", json.dumps(facts, indent=1) + "\n")
    outputs.mark_merged(job.output_dir, fingerprint)
    minutes = audio / 60
    log.info("%s: %d utterances, %.1f min, real-time factor %.4f", job.output_dir, len(kept), minutes, factor)


def shard_of(entries: list[Entry], number: int, nj: int) -> list[Entry]:
    """Shard ``number`` of ``nj``: every nj-th utterance by length, so that shards take equally long."""
    ordered = sorted(entries, key=lambda e: (-e.num_samples, e.name))
    return ordered[number - 1 :: nj]


def fingerprint_of(job: Job, entries: list[Entry]) -> str:
    """Names what the words depend on: model, configuration and audio; not batches, shards or devices."""
    files = _model_files(job)
    facts = {
        "model": [_identity(path) for path in files],
        "search": [_identity(path) for path in _search_files(job)],
        "config": [
            str(job.config.context.to_dict()),
            dict(job.config.search),
            job.config.mode,
            job.config.packet_ms,
            *([asdict(job.config.endpoint)] if job.config.endpoint else []),
            *([job.config.nbest] if job.config.nbest > 1 else []),
        ],
        "set": [
            [e.name, e.utterance.wav, e.utterance.start, e.utterance.end, e.num_samples] for e in entries
        ],
        "audio": [_identity(path) for path in _audio_files(job, entries)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _model_files(job: Job) -> list[Path]:
    """The files of the model, weights first; it may be an experiment, a packed folder or a packed zip."""
    from xlsrt.recognizer.model import find_weights
    from xlsrt.recognizer.pack import WEIGHTS, check_model_file, is_pack

    check_model_file(job.exp_dir, job.model_file)
    if not is_pack(job.exp_dir):
        return [find_weights(job.exp_dir, job.model_file), job.exp_dir / "config.yaml"]
    if job.exp_dir.is_file():
        return [job.exp_dir]
    others = sorted(path for path in job.exp_dir.iterdir() if path.is_file() and path.name != WEIGHTS)
    return [job.exp_dir / WEIGHTS, *others]


def _audio_files(job: Job, entries: list[Entry]) -> list[Path]:
    """The files of the set's audio; of archives the archives, of commands none."""
    data = DataDir(job.data_dir)
    places = dict.fromkeys(data.resolve(entry.utterance.wav) for entry in entries)
    paths = (place if os.path.isfile(place) else place.rpartition(":")[0] for place in places)
    return [Path(path) for path in dict.fromkeys(paths) if os.path.isfile(path)]


def _search_files(job: Job) -> list[Path]:
    from xlsrt.search.options import own_lms, search_files

    own = [job.exp_dir / name for name in own_lms(job.config.search).values()]
    return search_files(job.config.search) + [path for path in own if path.is_file()]


def _identity(path: Path) -> list[object]:
    """Name, size and time: hashing gigabytes of weights in every shard would cost more than it saves."""
    facts = path.stat() if path.is_file() else None
    return [path.name, facts and facts.st_size, facts and facts.st_mtime_ns]


def _decoder(job: Job, number: int) -> Decoder:
    """Load the model for a shard, on its device and with its share of the processors."""
    import torch

    from xlsrt.decoding.engine import Decoder

    torch.set_num_threads(threads_of(job))
    if job.ngpu and not torch.cuda.is_available():
        raise UserError(f"--ngpu {job.ngpu}, but torch sees no GPU; use --ngpu 0")
    device = f"cuda:{(number - 1) % job.ngpu}" if job.ngpu else "cpu"
    return Decoder(job.exp_dir, job.model_file, [one.config for one in job.jobs], device)


def threads_of(job: Job) -> int:
    """CPU threads of a shard.

    Streams and searches are many small products, and all threads meet after each: one that another process
    has put off its core holds up the rest, so that two threads took twenty to a hundred times as long as one.
    """
    return job.num_threads or 1


def _in_processes(job: Job, shards: list[int]) -> None:
    """Fresh interpreters (spawn): forked ones would inherit torch's threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shards), mp_context=context, initializer=_log_like_parent) as pool:
        futures = [pool.submit(decode_shard, job, number) for number in shards]
        try:
            for future in as_completed(futures):
                future.result()
        except BrokenProcessPool:
            raise UserError(
                "a shard was killed, most likely for want of memory; lower --nj or --batch_seconds"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _log_like_parent() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
