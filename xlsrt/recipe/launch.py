"""How training starts, here or through a cluster backend: one process, several GPUs, CPU ranks or nodes."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Sequence
from pathlib import Path

from xlsrt.errors import UserError

MEETING_POINT = ".dist_init"


def launch_command(
    train: Sequence[str],
    backend: str,
    log: Path,
    ngpu: int,
    num_nodes: int,
    python: str,
    exp_dir: Path,
    num_workers: int = 0,
) -> list[str]:
    """The command that starts ``train`` (program and arguments) on the resources asked for.

    One node: the backend runs it, and ESPnet spawns one process for each GPU. Several nodes with Slurm:
    ESPnet's launcher and srun, with or without GPUs; with ssh: one job for each node, which meet through a
    shared file; with the other queues: ESPnet's launcher and mpirun. Several "nodes" without GPU elsewhere:
    as many CPU ranks in one job, which ESPnet's launcher does not start.

    A job on one node of Slurm or PBS asks for a processor for each rank and for each of the ``num_workers``
    processes that read data for it, unless ``backend`` asks for some. For several nodes ESPnet's launcher
    asks. Grid Engine multiplies what a job asks for, GPUs and memory too, by its processors: one for each CPU
    rank there, if there are several.
    """
    if ngpu < 0 or num_nodes < 1:
        raise UserError(f"--ngpu {ngpu} --num_nodes {num_nodes}: at least 0 GPUs on at least 1 node")
    cmd = shlex.split(backend)
    kind = _kind(backend)
    ranks_here = ngpu if num_nodes == 1 and ngpu else num_nodes
    wanted = 0
    if kind in ("slurm", "pbs"):
        wanted = ranks_here * (1 + num_workers)
    elif kind == "queue" and ngpu == 0 and ranks_here > 1:
        wanted = ranks_here
    told = {"--num-threads", "--num_threads"} & set(cmd)
    processors = ["--num-threads", str(wanted)] if wanted and not told else []
    if num_nodes == 1:
        parallel = ["--multiprocessing_distributed", "true"] if ngpu > 1 else []
        return [*cmd, *processors, "--gpu", str(ngpu), str(log), *train, "--ngpu", str(ngpu), *parallel]
    meeting_point = exp_dir / MEETING_POINT
    if kind == "ssh":
        return _one_job_for_each_node(train, cmd, log, ngpu, num_nodes, meeting_point)
    if ngpu == 0 and kind != "slurm":
        ranks = [
            "-m",
            "xlsrt.bin.cpu_ranks",
            "--num_ranks",
            str(num_nodes),
            "--meeting_point",
            str(meeting_point),
        ]
        return [*cmd, *processors, "--gpu", "0", str(log), python, *ranks, "--", *train, "--ngpu", "0"]
    if kind == "run":
        raise UserError(
            f"--ngpu {ngpu} --num_nodes {num_nodes}: cmd_backend=local has one node; choose another in cmd.sh"
        )
    launcher = [
        python,
        "-m",
        "espnet2.bin.launch",
        "--cmd",
        f"{backend} --name {exp_dir.name}",
        "--log",
        str(log),
    ]
    launcher += ["--ngpu", str(ngpu), "--num_nodes", str(num_nodes), "--init_file_prefix", str(meeting_point)]
    return [*launcher, "--multiprocessing_distributed", "true", "--", *train]


def first_log(log: Path, backend: str, num_nodes: int) -> Path:
    """The log that tells how the training of `launch_command` goes."""
    return _numbered(log, "1") if num_nodes > 1 and _kind(backend) == "ssh" else log


def remove_meeting_points(exp_dir: Path) -> None:
    """Delete what killed trainings left: new ranks would wait there for dead ones."""
    for path in exp_dir.glob(f"{MEETING_POINT}*"):
        path.unlink(missing_ok=True)


def is_queue(backend: str) -> bool:
    """Whether jobs run elsewhere than on this machine."""
    return _kind(backend) != "run"


def _kind(backend: str) -> str:
    return Path(shlex.split(backend)[0]).stem


def _numbered(log: Path, number: str) -> Path:
    return log.with_name(f"{log.stem}.{number}{log.suffix}")


def _one_job_for_each_node(
    train: Sequence[str], cmd: Sequence[str], log: Path, ngpu: int, num_nodes: int, meeting_point: Path
) -> list[str]:
    """Numbered jobs, started and ended together; each is the node of its number."""
    options = ["--ngpu", str(ngpu), "--dist_world_size", str(num_nodes)]
    options += ["--multiprocessing_distributed", "true" if ngpu else "false"]
    options += ["--dist_backend", "nccl" if ngpu else "gloo"]
    place = Path(f"{meeting_point}{uuid.uuid4()}").absolute()
    options += ["--dist_init_method", f"file://{place}"]
    shell = f"{shlex.join([*train, *options])} --dist_rank $((JOB - 1))"
    together = ["--together", "true", f"JOB=1:{num_nodes}"]
    return [*cmd, "--gpu", str(ngpu), *together, str(_numbered(log, "JOB")), shell]
