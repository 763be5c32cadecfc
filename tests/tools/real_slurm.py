"""Run the recipe here and on a Slurm of two nodes that this script starts on this machine, and compare.

    python tests/tools/real_slurm.py --work DIR [-- options of run.sh]

By default the debug run, trained by two ranks and decoded by an array of two jobs; `-- --debug false` and
further options take another. Models, words and scores of both must be equal. As root, on Linux, with Debian's
packages slurmctld, slurmd, slurm-client and munge; their daemons end with the script. Uses the environment of
XLSRT_PYTHON, or of the recipe.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.tools.kill_at_random import differences  # noqa: E402  (the script may be started from anywhere)

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
CONF = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
MailProg=/bin/true
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=26821 CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=26822 CPUs=2
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """Two nodes, their scheduler and their keys in a folder, until ``stop``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool.n1", "spool.n2"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "slurm.conf").write_text(CONF.format(host=socket.gethostname(), folder=folder))
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Raises SystemExit with the end of the daemons' log where a node does not come up."""
        files = (f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "seed", "log"))
        self._run("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        self._wait(lambda: (self.folder / "munge.socket").exists())
        self._run("slurmctld", "-D", "-i")
        for node in ("n1", "n2"):
            self._run("slurmd", "-D", "-N", node)
        self._wait(lambda: self._states() == ["idle", "idle"])

    def stop(self) -> None:
        """End the daemons, and with them what they run."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def _run(self, *command: str) -> None:
        with open(self.folder / "daemons.log", "ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log))

    def _states(self) -> list[str]:
        asked = ["sinfo", "--noheader", "--Node", "--format", "%T"]
        return subprocess.run(asked, env=self.env, capture_output=True, text=True).stdout.split()

    def _wait(self, happened: Callable[[], bool]) -> None:
        for _ in range(120):
            if happened():
                return
            time.sleep(0.5)
        self.stop()
        said = (self.folder / "daemons.log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"Slurm did not come up; its logs are in {self.folder}:\n{said}")


def recipe(work: Path, backend: str, options: Sequence[str], env: dict[str, str]) -> float:
    """run.sh in a folder of its own; seconds it took. Its output goes to ``run.log`` there."""
    work.mkdir(parents=True)
    given = ["--debug", "true", "--ngpu", "0", "--num_nodes", "2", "--inference_nj", "2", *options]
    # A queue's job would take the threads of its node, a local one takes one; sums are rounded differently.
    env = {**env, "cmd_backend": backend, "OMP_NUM_THREADS": "1", "XLSRT_QUEUE_POLL_SECONDS": "2"}
    started = time.monotonic()
    with open(work / "run.log", "wb") as log:
        command = ["bash", str(ROOT / "run.sh"), "--workdir", str(work), *given]
        code = subprocess.run(command, env=env, stdout=log, stderr=log).returncode
    if code:
        raise SystemExit(f"run.sh with cmd_backend={backend} ended with code {code}: see {work}/run.log")
    return time.monotonic() - started


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="new folder for both runs and the daemons")
    parser.add_argument("options", nargs="*", help="-- options of run.sh for both runs")
    args = parser.parse_args(words)
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise SystemExit(
            f"{', '.join(missing)}: not on this machine; Debian has them in slurmctld, slurmd, "
            "slurm-client and munge"
        )
    work = args.work.resolve()
    if work.exists():
        raise SystemExit(f"{work} is there already: give a new folder for --work")
    seconds = recipe(work / "local", "local", args.options, dict(os.environ))
    print(f"here: {seconds:.0f} s", flush=True)
    slurm = Slurm(work / "daemons")
    slurm.start()
    try:
        seconds = recipe(work / "slurm", "slurm", args.options, slurm.env)
    finally:
        slurm.stop()
    print(f"on Slurm: {seconds:.0f} s", flush=True)
    found = list(differences(work / "slurm", work / "local"))
    print("\n".join(found) if found else "models, words and scores are equal")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
