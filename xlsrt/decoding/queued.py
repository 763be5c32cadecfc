"""Decode sets with each shard as a job of a cluster backend."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence

from xlsrt.decoding import runner
from xlsrt.decoding.job import Job, check_sets
from xlsrt.errors import UserError
from xlsrt.processes import TO_END


def decode(jobs: Sequence[Job], backend: str, shard: Sequence[str]) -> None:
    """Decode everything that is not decoded yet and merge, as `runner.decode` does.

    Args:
        jobs: the sets; as many jobs as each has shards are submitted at once as an array, with one GPU each
            where they have any.
        backend: a script of Kaldi's calling convention with its options, such as ``utils/slurm.pl --mem 8G``.
        shard: program and options that decode one shard, to which ``--job`` is added.

    Raises:
        UserError: a job failed; the backend has said which, with the end of its log.
        SystemExit: a signal ended the backend.
    """
    check_sets(jobs)
    left, undecoded = runner.left_of(jobs)
    with runner.merging(left):
        if undecoded:
            _submit(left[0], backend, shard)


def _submit(job: Job, backend: str, shard: Sequence[str]) -> None:
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
    before = {number: signal.signal(number, forward) for number in TO_END}
    code = process.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    if code < 0 or code > 128:
        raise SystemExit(code if code > 0 else 128 - code)
    if code:
        raise UserError(
            f"{job.output_dir}: {os.path.basename(words[0])} ended with code {code}, see above; what was "
            "decoded is kept, run it again"
        )
