"""Decode a set with each shard as a job of a cluster backend."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence

from xlsrt.data.waveforms import read_set
from xlsrt.decoding import outputs, runner
from xlsrt.decoding.job import Job, check_sets, fingerprint_of
from xlsrt.errors import UserError

log = logging.getLogger(__name__)


def decode(jobs: Sequence[Job], backend: str, shard: Sequence[str]) -> None:
    """Decode everything that is not decoded yet and merge, as `runner.decode` does.

    Args:
        jobs: the sets; as many jobs as each has shards are submitted at once as an array, with one GPU each
            where they have any.
        backend: a script of Kaldi's calling convention with its options, such as ``utils/slurm.pl --mem 8G``.
        shard: program and options that decode one shard, to which ``--job`` is added.

    Raises:
        UserError: a job failed; the backend has said which, with the end of its log.
    """
    check_sets(jobs)
    todo = [job for job in jobs if not _is_merged(job)]
    if not todo:
        return
    job = todo[0]
    words = shlex.split(backend)
    if shutil.which(words[0]) is None:
        raise UserError(f"--cmd {backend}: there is no program {words[0]}; see utils/*.pl")
    threads = words[words.index("--num-threads") + 1] if "--num-threads" in words[:-1] else "1"
    gpus = str(min(job.ngpu, 1))
    logs = job.output_dir / "logdir" / "asr_inference.JOB.log"
    command = [*words, "--gpu", gpus, f"JOB=1:{job.nj}", str(logs)]
    # The last value of an option counts.
    own = ["--ngpu", gpus, *([] if job.num_threads else ["--num_threads", threads]), "--job", "JOB"]
    process = subprocess.Popen([*command, *shard, *own])

    def forward(number: int, _frame: object) -> None:
        process.send_signal(number)

    # The backend cancels its jobs; we wait for that.
    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    code = process.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    if code:
        raise UserError(
            f"{job.output_dir}: {os.path.basename(words[0])} ended with code {code}, see above; what was "
            "decoded is kept, run it again"
        )
    for job in todo:
        runner.merge_all(job)


def _is_merged(job: Job) -> bool:
    entries = read_set(job.data_dir)
    done = all(outputs.is_merged(one.output_dir, fingerprint_of(one, entries)) for one in job.jobs)
    if done:
        log.info("%s is decoded already", job.output_dir)
    return done
