"""How training starts, here or through a cluster backend: one process, several GPUs, CPU ranks or nodes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from xlsrt.errors import UserError


def launch_command(
    train: Sequence[str], backend: str, log: Path, ngpu: int, num_nodes: int, python: str, exp_dir: Path
) -> list[str]:
    """The command that starts ``train`` (program and arguments) on the resources asked for.

    One node: the backend runs it, and ESPnet spawns one process for each GPU. Several nodes: ESPnet's
    launcher, which calls the backend. Several "nodes" without GPU: as many CPU ranks on this machine, which
    ESPnet's launcher does not start.
    """
    if ngpu < 0 or num_nodes < 1:
        raise UserError(f"--ngpu {ngpu} --num_nodes {num_nodes}: at least 0 GPUs on at least 1 node")
    cmd = shlex.split(backend)
    if num_nodes == 1:
        parallel = ["--multiprocessing_distributed", "true"] if ngpu > 1 else []
        return [*cmd, "--gpu", str(ngpu), str(log), *train, "--ngpu", str(ngpu), *parallel]
    meeting_point = exp_dir / ".dist_init"
    if ngpu == 0:
        ranks = [
            python,
            "-m",
            "xlsrt.bin.cpu_ranks",
            "--num_ranks",
            str(num_nodes),
            "--meeting_point",
            str(meeting_point),
        ]
        return [*cmd, "--gpu", "0", str(log), *ranks, "--", *train, "--ngpu", "0"]
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
