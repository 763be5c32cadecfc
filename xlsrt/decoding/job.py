"""What is to be decoded, and a name for all that its words depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import Entry
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recognizer.model_files import model_files
from xlsrt.search.options import own_lms, search_files

HEARD_SECONDS = 240.0
"""Padded audio that the encoder hears at once where that needs memory: whole utterances, a growing past."""
CACHED_SECONDS = 60.0
"""Of it as much as a CPU's caches hold well: with the built-in corpus's small encoder four minutes at once
took a third longer than a minute four times.
"""
BATCH_SECONDS = 1200.0
"""Padded audio of a batch of which the encoder hears a part at a time, or keeps little: long recordings are
searched side by side then, which is faster.
"""


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
        also: configurations that ask the same of the encoder, each with its output_dir: decoded along.
    """

    exp_dir: Path
    model_file: str | None
    config: DecodeConfig
    data_dir: Path
    output_dir: Path
    nj: int = 1
    ngpu: int = 0
    batch_size: int = 64
    batch_seconds: float | None = None
    num_threads: int = 0
    also: tuple[tuple[DecodeConfig, Path], ...] = ()

    @property
    def most_seconds(self) -> float:
        """Padded audio of a batch at most."""
        if self.batch_seconds is not None:
            return self.batch_seconds
        masked = self.config.mode == "masked" and self.config.endpoint is None
        bounded = self.config.mode == "streaming" and self.config.context.cache_frames is not None
        return BATCH_SECONDS if masked or bounded else HEARD_SECONDS

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
        for config, folder in self.also:
            if not self.config.hears_as(config):
                raise UserError(
                    f"--also ... {folder}: its context, mode and packet_ms must be those of --decode_config, "
                    "and neither may have an endpoint; decode it by itself"
                )


def check_sets(jobs: Sequence[Job]) -> None:
    """Raise `UserError` where a job makes no sense, or two would write to one folder."""
    for job in jobs:
        job.check()
    folders = [one.output_dir.absolute() for job in jobs for one in job.jobs]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise UserError(f"two decodings would write to {twice[0]}: name a folder for each")


def fingerprint_of(job: Job, entries: list[Entry]) -> str:
    """Names what the words depend on: model, configuration and audio; not batches, shards or devices."""
    files = model_files(job.exp_dir, job.model_file)
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


def _audio_files(job: Job, entries: list[Entry]) -> list[Path]:
    """The files of the set's audio; of archives the archives, of commands none."""
    data = DataDir(job.data_dir)
    places = dict.fromkeys(data.resolve(entry.utterance.wav) for entry in entries)
    paths = (place if os.path.isfile(place) else place.rpartition(":")[0] for place in places)
    return [Path(path) for path in dict.fromkeys(paths) if os.path.isfile(path)]


def _search_files(job: Job) -> list[Path]:
    own = [job.exp_dir / name for name in own_lms(job.config.search).values()]
    return search_files(job.config.search) + [path for path in own if path.is_file()]


def _identity(path: Path) -> list[object]:
    """Name, size and time: hashing gigabytes of weights in every shard would cost more than it saves."""
    facts = path.stat() if path.is_file() else None
    return [path.name, facts and facts.st_size, facts and facts.st_mtime_ns]


def device_of(job: Job, number: int, present: int) -> str:
    """Torch device of shard ``number`` (counted from 1) where ``present`` GPUs are: shards take them in turn.

    ``ssh.pl`` tells its jobs in XLSRT_SLOT how many of a machine's slots come before theirs.
    """
    if not job.ngpu:
        return "cpu"
    if not present:
        raise UserError(f"--ngpu {job.ngpu}, but torch sees no GPU; use --ngpu 0")
    slot = os.environ.get("XLSRT_SLOT", "")
    return f"cuda:{int(slot) % present if slot.isdecimal() else (number - 1) % job.ngpu}"


def threads_of(job: Job) -> int:
    """CPU threads of a shard.

    Streams and searches are many small products, and all threads meet after each: one that another process
    has put off its core holds up the rest, so that two threads took twenty to a hundred times as long as one.
    """
    return job.num_threads or 1
