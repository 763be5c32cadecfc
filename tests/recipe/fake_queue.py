"""Stand-ins for the programs of Slurm, Grid Engine, PBS and ssh: each file in a folder on PATH calls `main`.

What the programs print and how jobs are started, signalled, requeued and forgotten follows Slurm 22.05
(which was run beside them), Grid Engine 8 and OpenPBS; options that they lack are refused, as the real ones
do. The queue is a folder: <id>/ has script, options.json, <task>.state, <task>.pid; task 0 is a job without
an array.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# Options with a value, and flags.
SLURM = (
    "export job-name time mem cpus-per-task nodes ntasks-per-node array gres signal output open-mode p",
    "requeue",
)
SLURM_MORE = "no-requeue"
SGE = ("N l pe t tc S j o r", "V cwd notify")
PBS = ("N l J S j o r", "V")
ALIVE = ("PENDING", "RUNNING")


def install(folder: Path, python: str) -> dict[str, str]:
    """Write the programs below ``folder``; the environment that uses them, by system name -> PATH entry."""
    found = {}
    for system, programs in {
        "slurm": "sbatch squeue scancel scontrol srun",
        "sge": "qsub qstat qdel",
        "pbs": "qsub qstat qdel qrerun",
        "ssh": "ssh",
    }.items():
        place = folder / system
        (place / "queue").mkdir(parents=True)
        for program in programs.split():
            path = place / program
            path.write_text(
                f'#!/bin/sh\nexec {python} -S -E {__file__} {place}/queue {system} {program} "$@"\n'
            )
            path.chmod(0o755)
        found[system] = str(place)
    return found


def parse(words: list[str], known: tuple[str, str], program: str) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    values, flags = known[0].split(), known[1].split()
    while words and words[0].startswith("-"):
        name, _, value = words.pop(0).lstrip("-").partition("=")
        if name in flags:
            options[name] = "yes"
        elif name == "pe" and "pe" in values:
            # The real one takes the last of several without a word.
            assert name not in options, "a second -pe"
            options[name] = f"{words.pop(0)} {int(words.pop(0))}"
        elif name in values:
            options[name] = value or words.pop(0)
        else:
            sys.exit(f"{program}: unrecognized option '--{name}'")
    return options, words


def tasks_of(options: dict[str, str]) -> tuple[list[int], int]:
    """Task numbers and how many may run at a time."""
    text = options.get("array") or options.get("t") or options.get("J")
    if not text:
        return [0], 1
    span, _, limit = text.partition("%")
    first, last = map(int, span.split("-"))
    assert first < last or "J" not in options, "PBS knows no array of one"
    return list(range(first, last + 1)), int(limit or options.get("tc") or last - first + 1)


class Queue:
    """The folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def state(self, job: str, task: int, value: str | None = None) -> str:
        path = self.root / job / f"{task}.state"
        if value is not None:
            path.with_suffix(".new").write_text(value)
            path.with_suffix(".new").replace(path)
        return path.read_text()

    def tasks(self, job: str) -> list[int]:
        return sorted(int(path.stem) for path in (self.root / job).glob("*.state"))

    def options(self, job: str) -> dict[str, str]:
        return json.loads((self.root / job / "options.json").read_text())

    def jobs(self) -> list[str]:
        return sorted((path.name for path in self.root.iterdir() if path.name.isdigit()), key=int)

    def submit(self, system: str, options: dict[str, str], script: str) -> str:
        job = str(len(self.jobs()) + 101)
        folder = self.root / job
        folder.mkdir()
        # The real ones keep a copy: the file may change before the job starts.
        shutil.copy(script, folder / "script")
        (folder / "options.json").write_text(json.dumps(options))
        (folder / "call.json").write_text(json.dumps(sys.argv[4:]))
        for task in tasks_of(options)[0]:
            self.state(job, task, "PENDING")
        command = [sys.executable, "-S", "-E", __file__, str(self.root), system, "daemon", job]
        with open(folder / "daemon.log", "w") as log:
            subprocess.Popen(
                command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return job

    def serve(self, system: str, job: str) -> None:
        """Run the tasks of a job, as the scheduler's daemons do."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        options = self.options(job)
        tasks, limit = tasks_of(options)
        running: dict[int, subprocess.Popen[bytes]] = {}
        waiting = list(tasks)
        while waiting or running:
            for task in list(waiting):
                if self.state(job, task) != "PENDING":
                    waiting.remove(task)
                elif len(running) < limit:
                    waiting.remove(task)
                    running[task] = self.start(system, job, task, options)
            for task, process in list(running.items()):
                state = self.state(job, task)
                if state == "REQUEUE" and process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                if process.poll() is not None:
                    del running[task]
                    if state == "REQUEUE" or (system == "sge" and process.returncode == 99):
                        self.state(job, task, "PENDING")
                        waiting.append(task)
                    elif state == "RUNNING":
                        self.state(job, task, "FAILED" if process.returncode else "COMPLETED")
            time.sleep(0.03)

    def start(self, system: str, job: str, task: int, options: dict[str, str]) -> subprocess.Popen[bytes]:
        names = {"slurm": "SLURM_ARRAY_TASK_ID", "sge": "SGE_TASK_ID", "pbs": "PBS_ARRAY_INDEX"}
        number = {names[system]: str(task)} if task else {"SGE_TASK_ID": "undefined"}
        place = self.root.parent
        env = {**os.environ, **number, "PATH": f"{place}:{os.environ['PATH']}"}
        if system == "slurm":
            env |= {"SLURM_JOB_ID": job, "SLURM_NNODES": options.get("nodes", "1")}
            env |= {"SLURM_ARRAY_JOB_ID": job} if task else {}
        self.state(job, task, "RUNNING")
        # The working directory is not the submitter's everywhere: the script must go where it belongs.
        with open(options.get("output") or options.get("o") or os.devnull, "ab") as output:
            process = subprocess.Popen(
                ["bash", str(self.root / job / "script")],
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.root / job / f"{task}.pid").write_text(str(process.pid))
        return process

    def cancel(self, job: str) -> None:
        """Tell every process of the job to end, as the real ones do; kill what is left later."""
        for task in self.tasks(job):
            if self.state(job, task) not in ALIVE:
                continue
            was = self.state(job, task)
            self.state(job, task, "CANCELLED")
            if was == "RUNNING":
                os.killpg(int((self.root / job / f"{task}.pid").read_text()), signal.SIGTERM)


def srun(words: list[str]) -> int:
    """One task on each node; signals go to all, a bad end of one ends all."""
    while words[0].startswith("-"):
        assert words.pop(0) == "--export=ALL"
    count = int(os.environ["SLURM_NNODES"])
    common = {"SLURM_NTASKS": str(count), "SLURM_STEP_NUM_NODES": str(count), "SLURM_STEP_NODELIST": "n[1-9]"}
    ranks = [
        subprocess.Popen(
            words,
            env={
                **os.environ,
                **common,
                "SLURM_PROCID": str(r),
                "SLURM_NODEID": str(r),
                "SLURM_LOCALID": "0",
            },
        )
        for r in range(count)
    ]
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda n, _: [rank.send_signal(n) for rank in ranks if rank.poll() is None])
    codes: list[int | None] = [None]
    while None in codes:
        time.sleep(0.05)
        codes = [rank.poll() for rank in ranks]
        if any(codes) and os.environ.get("SLURM_KILL_BAD_EXIT") == "1":
            [rank.kill() for rank in ranks if rank.poll() is None]
    return max(128 - code if code < 0 else code for code in codes if code is not None)


def main(root: str, system: str, program: str, *words: str) -> int:
    queue = Queue(Path(root))
    rest = list(words)
    if program == "daemon":
        queue.serve(system, rest[0])
    elif program == "ssh":
        while rest[0].startswith("-"):
            if rest.pop(0) == "-o":
                rest.pop(0)
        with open(queue.root / "hosts", "a") as hosts:
            hosts.write(rest.pop(0) + "\n")
        # sshd makes a session of its own, which outlives the connection.
        return subprocess.Popen(["bash", "-c", " ".join(rest)], start_new_session=True).wait()
    elif program == "srun":
        return srun(rest)
    elif program in ("sbatch", "qsub"):
        known = {"slurm": (SLURM[0], f"{SLURM[1]} {SLURM_MORE}"), "sge": SGE, "pbs": PBS}[system]
        options, (script, *_) = parse(rest, known, program)
        job = queue.submit(system, options, script)
        span = options.get("t")
        print(
            {
                "slurm": f"Submitted batch job {job}",
                "sge": f'Your job-array {job}.{span}:1 ("{options["N"]}") has been submitted'
                if span
                else f'Your job {job} ("{options.get("N")}") has been submitted',
                "pbs": f"{job}[].server" if options.get("J") else f"{job}.server",
            }[system]
        )
    elif program in ("scancel", "qdel"):
        queue.cancel(re.sub(r"\D.*", "", rest[0]))
    elif program in ("scontrol", "qrerun"):
        job, _, task = re.sub(r"\[(\d+)\].*", r"_\1", rest[-1]).partition("_")
        queue.state(job, int(task or 0), "REQUEUE")
    elif program == "squeue":
        job = rest[rest.index("--jobs") + 1]
        if job not in queue.jobs():
            print("slurm_load_jobs error: Invalid job id specified", file=sys.stderr)
            return 1
        for task in queue.tasks(job):
            print(f"{job}_{task}" if task else job, queue.state(job, task).replace("REQUEUE", "PENDING"))
    elif program == "qstat" and system == "sge":
        print(
            "job-ID  prior   name       user         state submit/start at     queue        slots ja-task-ID"
        )
        for job in queue.jobs():
            for task in queue.tasks(job):
                state = {"PENDING": "qw", "RUNNING": "r", "ERROR": "Eqw"}.get(queue.state(job, task))
                place = " all.q@n1" if state == "r" else ""
                if state:
                    print(f"{job} 0.50 x me {state} 11/24/2026 14:00:00{place} 1 {task or ''}")
    elif program == "qstat":
        job = re.sub(r"\D.*", "", rest[-1])
        alive = [task for task in queue.tasks(job) if queue.state(job, task) in (*ALIVE, "REQUEUE")]
        if not alive:
            print(f"qstat: {job}.server Job has finished, use -x or -H to obtain historical job information")
            return 35
        print("Job id    Name  User  Time Use S Queue\n--------- ----- ----- -------- - -----")
        if alive != [0]:
            print(f"{job}[].server   x   me   0 B workq")
        for task in queue.tasks(job):
            state = {"PENDING": "Q", "REQUEUE": "Q", "RUNNING": "R"}.get(queue.state(job, task), "X")
            print(
                f"{job}[{task}].server x me 00:00:00 {state} workq"
                if task
                else f"{job}.server x me 0 {state} workq"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
