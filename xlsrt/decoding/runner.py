"""Decode sets in shards: what a shard has finished is kept, so a run that was killed continues."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import Entry, load_samples, make_batches, read_set
from xlsrt.decoding import outputs
from xlsrt.decoding.job import Job, check_sets, device_of, fingerprint_of, threads_of
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.processes import end_with_parent
from xlsrt.recognizer.model_files import model_files
from xlsrt.units import SAMPLE_RATE

if TYPE_CHECKING:
    from xlsrt.decoding.engine import Decoder

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 10.0


def decode(*jobs: Job) -> None:
    """Decode everything that is not decoded yet, in ``nj`` processes, and merge.

    jobs: one, or several that differ in their sets and folders alone: the model is loaded once for all.
    """
    check_sets(jobs)
    shards: dict[int, list[Job]] = {}
    for job in jobs:
        entries, ways = _ways(job)
        if _said_merged(job, ways):
            continue
        for way in ways:  # told before the work where that cannot be
            way.job.output_dir.mkdir(parents=True, exist_ok=True)
        left = {entry.name for entry in _todo(entries, ways)}
        if left and len(left) < len(entries):
            done = len(entries) - len(left)
            log.info("continuing: %d of %d utterances are decoded already", done, len(entries))
        for number in range(1, job.nj + 1):
            if left & {entry.name for entry in shard_of(entries, number, job.nj)}:
                shards.setdefault(number, []).append(job)
    with merging(jobs):
        if len(shards) == 1:
            [(number, these)] = shards.items()
            decode_shard(number, *these)
        elif shards:
            _in_processes(shards)


@contextlib.contextmanager
def merging(jobs: Sequence[Job]) -> Iterator[None]:
    """`merge` after the block; where that fails, what is whole is merged all the same."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(UserError):
            merge(jobs)
        raise
    merge(jobs)


def decode_shard(number: int, *jobs: Job) -> None:
    """Decode shard ``number`` (counted from 1) of each job, in this process; `merge` when all are done."""
    check_sets(jobs)
    decoder, parent = None, os.getppid()
    for job in jobs:
        if not 1 <= number <= job.nj:
            raise UserError(f"--job {number} is not between 1 and --nj {job.nj}")
        entries, ways = _ways(job)
        todo = _todo(shard_of(entries, number, job.nj), ways)
        if not todo:
            continue
        decoder = decoder or _decoder(job, number)
        if not _decode_entries(todo, job, number, decoder, ways, parent):
            return


class _Way:
    """What one configuration has found of a set, and where it is written."""

    def __init__(self, job: Job, fingerprint: str) -> None:
        self.job, self.fingerprint = job, fingerprint
        self.is_merged = outputs.is_merged(job.output_dir, fingerprint)

    @cached_property
    def kept(self) -> dict[str, outputs.Recognised]:
        """The utterances that are decoded, by name."""
        return outputs.kept_results(self.job.output_dir, self.fingerprint)


def _ways(job: Job) -> tuple[list[Entry], list[_Way]]:
    """The set and what each configuration has found of it."""
    entries = read_set(job.data_dir)
    return entries, [_Way(one, fingerprint_of(one, entries)) for one in job.jobs]


def _said_merged(job: Job, ways: Sequence[_Way]) -> bool:
    """Whether all the final files are written, which is said then."""
    done = all(way.is_merged for way in ways)
    if done:
        log.info("%s is decoded already", job.output_dir)
    return done


def left_of(jobs: Sequence[Job]) -> tuple[list[Job], bool]:
    """Those whose final files are not all written, and whether any utterance is to be decoded yet."""
    found = [(job, *_ways(job)) for job in jobs]
    left = [(job, entries, ways) for job, entries, ways in found if not _said_merged(job, ways)]
    return [job for job, _, _ in left], any(_todo(entries, ways) for _, entries, ways in left)


def _todo(entries: list[Entry], ways: Sequence[_Way]) -> list[Entry]:
    """The utterances that a way lacks."""
    return [entry for entry in entries if any(entry.name not in way.kept for way in ways)]


def _decode_entries(
    todo: list[Entry], job: Job, number: int, decoder: Decoder, ways: Sequence[_Way], parent: int
) -> bool:
    """Decode and keep; False if the run that started this shard, process ``parent``, was killed meanwhile."""
    data = DataDir(job.data_dir)
    start, said, done, seconds = time.monotonic(), 0.0, 0, 0.0
    for batch in make_batches(todo, job.batch_size, job.most_seconds):
        found = decoder([entry.name for entry in batch], [load_samples(data, entry) for entry in batch])
        for way, results in zip(ways, found, strict=True):
            new = [result for result in results if result.utt not in way.kept]
            outputs.append_results(way.job.output_dir, number, way.fingerprint, new)
        done += len(batch)
        seconds += sum(entry.num_samples for entry in batch) / SAMPLE_RATE
        elapsed = time.monotonic() - start
        if elapsed - said > PROGRESS_SECONDS or done == len(todo):
            said = elapsed
            speed = seconds / max(elapsed, 1e-9)
            log.info(
                "%s: shard %d of %d: %d of %d utterances, %.1f x real time",
                job.data_dir.name,
                number,
                job.nj,
                done,
                len(todo),
                speed,
            )
        if os.getppid() != parent:
            # Its successor must not find two writers.
            return False
    return True


def merge(jobs: Sequence[Job], again: bool = False) -> None:
    """Write the final files of all configurations of all jobs; ``again``: those that are written, too.

    Raises:
        UserError: one lacks an utterance, or its files cannot be written. The others are written before.
    """
    wrong: UserError | None = None
    for job in jobs:
        entries, ways = _ways(job)
        for way in ways:
            if again or not way.is_merged:
                try:
                    _write(way.job, way.fingerprint, [entry.name for entry in entries])
                except UserError as error:
                    wrong = wrong or error
    if wrong is not None:
        raise wrong


def _write(job: Job, fingerprint: str, names: list[str]) -> None:
    """The final files of one configuration, and ``decoding.json``: what was done, how fast."""
    outputs.mark_merged(job.output_dir, None)
    kept = outputs.merge(job.output_dir, fingerprint, names)
    audio = sum(result.audio_seconds for result in kept)
    factor = sum(result.wall_seconds for result in kept) / max(audio, 1e-9)
    facts = {
        "exp_dir": str(job.exp_dir),
        "model_file": model_files(job.exp_dir, job.model_file)[0].name,
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
    write_text(job.output_dir / outputs.FACTS, json.dumps(facts, indent=1) + "\n")
    outputs.mark_merged(job.output_dir, fingerprint)
    minutes = audio / 60
    log.info("%s: %d utterances, %.1f min, real-time factor %.4f", job.output_dir, len(kept), minutes, factor)


def shard_of(entries: list[Entry], number: int, nj: int) -> list[Entry]:
    """Shard ``number`` of ``nj``: every nj-th utterance by length, so that shards take equally long."""
    ordered = sorted(entries, key=lambda e: (-e.num_samples, e.name))
    return ordered[number - 1 :: nj]


def _decoder(job: Job, number: int) -> Decoder:
    """Load the model for a shard, on its device and with its share of the processors."""
    import torch

    from xlsrt.decoding.engine import Decoder

    torch.set_num_threads(threads_of(job))
    device = device_of(job, number, torch.cuda.device_count() if job.ngpu else 0)
    return Decoder(job.exp_dir, job.model_file, [one.config for one in job.jobs], device)


def _in_processes(shards: Mapping[int, Sequence[Job]]) -> None:
    """Fresh interpreters (spawn): forked ones would inherit torch's threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shards), mp_context=context, initializer=_begin_worker) as pool:
        futures = [pool.submit(decode_shard, number, *jobs) for number, jobs in shards.items()]
        try:
            for future in as_completed(futures):
                future.result()
        except BrokenProcessPool:
            raise UserError(
                "a shard was killed, most likely for want of memory; lower --nj or --batch_seconds"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
