"""slurm.pl, queue.pl, pbs.pl and ssh.pl against stand-ins of the programs that they call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.recipe import fake_queue
from tests.waiting import is_alive, wait_for

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {"slurm": "slurm.pl", "sge": "queue.pl", "pbs": "pbs.pl"}
QUEUES = pytest.mark.parametrize("system", list(SCRIPTS))


@dataclass
class Cluster:
    """A queueing system, its script and a working directory."""

    work: Path
    script: Path
    queue: fake_queue.Queue
    env: dict[str, str]

    def start(self, *words: str) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([str(self.script), *words], cwd=self.work, env=self.env, **streams)  # type: ignore[call-overload]

    def run(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == code, output
        return output

    def call(self, job: str = "101") -> list[str]:
        """How the script called the submitting program."""
        return json.loads((self.queue.root / job / "call.json").read_text())

    def states(self, job: str = "101") -> list[str]:
        return [self.queue.state(job, task) for task in self.queue.tasks(job)]


@pytest.fixture
def cluster(tmp_path: Path) -> Callable[[str], Cluster]:
    places = fake_queue.install(tmp_path / "bin", sys.executable)
    work = tmp_path / "work dir"
    work.mkdir()

    def build(system: str) -> Cluster:
        path = f"{places[system]}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "XLSRT_QUEUE_POLL_SECONDS": "0.2", "XLSRT_TRIED": "it's here"}
        script = ROOT / "utils" / SCRIPTS.get(system, f"{system}.pl")
        return Cluster(work, script, fake_queue.Queue(Path(places[system]) / "queue"), env)

    return build


@QUEUES
def test_numbered_jobs_are_one_array(cluster: Callable[[str], Cluster], system: str) -> None:
    there = cluster(system)
    shell = 'echo "part JOB of $XLSRT_TRIED in ${PWD##*/} & so on"'
    output = there.run(
        "--mem",
        "2G",
        "--max-jobs-run",
        "2",
        "NR=2:4",
        "log/x.NR.log",
        "bash",
        "-c",
        shell.replace("JOB", "NR"),
    )
    assert "submitted job 101" in output
    assert there.queue.jobs() == ["101"]
    for job in (2, 3, 4):
        log = (there.work / f"log/x.{job}.log").read_text(encoding="utf-8")
        assert f"\npart {job} of it's here in work dir & so on\n" in log
        assert log.endswith("ended with code 0\n")
    words = " ".join(there.call())
    assert {"slurm": "--mem 2G", "sge": "-l mem_free=2G,h_vmem=2G", "pbs": "-l mem=2G"}[system] in words
    assert {"slurm": "--array 2-4%2", "sge": "-tc 2", "pbs": "-J 2-4%2"}[system] in words
    assert not (there.work / "log/q/x.all.log.job").exists()


@QUEUES
def test_one_job_is_a_shell_line_and_continues_its_log(
    cluster: Callable[[str], Cluster], system: str
) -> None:
    there = cluster(system)
    for _ in range(2):
        there.run("--gpu", "1", "x.log", "echo a | tr a b")
    assert (there.work / "x.log").read_text(encoding="utf-8").count("\nb\n") == 2
    words = " ".join(there.call("102"))
    assert {"slurm": "--gres gpu:1", "sge": "-l gpu=1", "pbs": "-l ngpus=1"}[system] in words


@QUEUES
def test_a_failed_job_is_named_with_the_end_of_its_log(
    cluster: Callable[[str], Cluster], system: str
) -> None:
    shell = "echo this is JOB; test JOB != 2 || exit 7"
    output = cluster(system).run("JOB=1:3", "x.JOB.log", "bash", "-c", shell, code=1)
    assert "job 2 failed (exit code 7), the end of x.2.log" in output
    assert "this is 2" in output
    assert "this is 1" not in output
    assert "1 of 3 jobs failed" in output


@QUEUES
def test_a_job_that_vanishes_is_noticed(cluster: Callable[[str], Cluster], system: str) -> None:
    """As when its node dies or it runs out of memory: nobody writes how it ended."""
    output = cluster(system).run(
        "JOB=1:2", "x.JOB.log", "bash", "-c", "test JOB = 1 || kill -9 $PPID", code=1
    )
    assert "job 2 failed (" in output
    known = {
        "slurm": "the scheduler says FAILED",
        "sge": "gone from the queue",
        "pbs": "the scheduler says X",
    }
    assert known[system] in output or "gone from the queue" in output
    assert "1 of 2 jobs failed" in output


@QUEUES
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_whoever_stops_us_stops_the_jobs(cluster: Callable[[str], Cluster], system: str, name: str) -> None:
    there = cluster(system)
    # The command needs a moment to save, and is waited for.
    shell = "trap 'sleep 0.3; touch saved.JOB; exit 143' TERM; touch on.JOB; while :; do sleep 0.05; done"
    process = there.start("JOB=1:2", "x.JOB.log", "bash", "-c", shell)
    wait_for(lambda: all((there.work / f"on.{job}").exists() for job in (1, 2)))
    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name), output
    assert there.states() == ["CANCELLED", "CANCELLED"]
    wait_for(lambda: all((there.work / f"saved.{job}").exists() for job in (1, 2)), 5)


def test_jobs_end_when_their_starter_is_killed(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("slurm")
    shell = f"{there.script} x.log sleep 60; true"
    parent = subprocess.Popen(["bash", "-c", shell], cwd=there.work, env=there.env, stderr=subprocess.DEVNULL)
    wait_for(lambda: there.queue.jobs() == ["101"] and there.states() == ["RUNNING"])
    parent.kill()
    parent.wait()
    wait_for(lambda: there.states() == ["CANCELLED"])


def test_a_job_left_by_a_killed_run_is_ended_first(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("slurm")
    first = there.start("x.log", "sleep", "60")
    wait_for(lambda: there.queue.jobs() == ["101"] and there.states() == ["RUNNING"])
    first.kill()
    first.communicate()
    output = there.run("x.log", "true")
    assert "job 101 of an earlier run is still there" in output
    assert there.states("101") == ["CANCELLED"]
    assert not is_alive(int((there.queue.root / "101/0.pid").read_text()))


@pytest.mark.parametrize(
    ("system", "warning"), [("slurm", signal.SIGUSR1), ("sge", signal.SIGUSR1), ("sge", signal.SIGUSR2)]
)
def test_a_warned_job_saves_and_runs_again(
    cluster: Callable[[str], Cluster], system: str, warning: signal.Signals
) -> None:
    there = cluster(system)
    shell = (
        "trap 'touch saved; exit 138' USR1; touch on; test ! -e saved || exit 0; while :; do sleep 0.05; done"
    )
    process = there.start("x.log", "bash", "-c", shell)
    wait_for(lambda: (there.work / "on").exists())
    os.kill(int((there.queue.root / "101/0.pid").read_text()), warning)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    log = (there.work / "x.log").read_text(encoding="utf-8")
    assert "saved; back into the queue" in log
    assert log.endswith("ended with code 0\n")
    assert there.queue.jobs() == ["101"]


def test_configuration_is_kaldis(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("slurm")
    mine = there.work / "mine.conf"
    mine.write_text(
        "# mine\ncommand sbatch -p long  # partition\noption mem=* --time $0:$0\noption mem=0\n"
        "default gpu=3\n",
        encoding="utf-8",
    )
    there.run("--config", "mine.conf", "--mem", "7", "--num_threads", "2", "x.log", "true")
    words = " ".join(there.call())
    for part in ("-p long", "--time 7:7", "--cpus-per-task 2", "--gres gpu:3"):
        assert part in words
    assert "--mem" not in words
    (there.work / "conf").mkdir()
    mine.rename(there.work / "conf/slurm.conf")
    there.run("--mem", "0", "x.log", "true")
    assert "-p long" in " ".join(there.call("102"))
    assert "--time" not in there.call("102")


@pytest.mark.parametrize(
    ("words", "conf", "message"),
    [
        (["--memory", "1", "x.log", "true"], "", "has no line for memory=1: add 'option memory=* ...'"),
        (["x.log", "true"], "optoin mem=* -m", "line 1: not 'command ...'"),
        (["JOB=1:2", "x.log", "true"], "", "share one log: put JOB into x.log"),
        (["x.log", "true"], "command not-there --x", "not-there is not found"),
        (["x.log", "true"], "command sbatch --colour red", "unrecognized option '--colour'"),
        (["--max-jobs-run", "many", "x.log", "true"], "", "write a number"),
    ],
)
def test_mistakes_are_told_before_anything_is_submitted(
    cluster: Callable[[str], Cluster], words: list[str], conf: str, message: str
) -> None:
    there = cluster("slurm")
    (there.work / "my.conf").write_text(conf + "\n", encoding="utf-8")
    assert message in there.run("--config", "my.conf", *words, code=2)
    assert there.queue.jobs() == []


def test_ssh_spreads_jobs_over_the_machines(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("ssh")
    assert "machines is missing" in there.run("JOB=1:3", "x.JOB.log", "true", "x", code=2)
    (there.work / ".queue").mkdir()
    (there.work / ".queue/machines").write_text("one\n# none\ntwo\n", encoding="utf-8")
    output = there.run("JOB=1:3", "x.JOB.log", "bash", "-c", "echo it is JOB; test JOB != 3", code=1)
    assert "job 3 failed" in output
    assert "it is 3" in output
    assert "it is 1" in (there.work / "x.1.log").read_text(encoding="utf-8")
    hosts = (there.queue.root / "hosts").read_text().split()
    assert len(hosts) == 3
    assert set(hosts) == {"one", "two"}


def test_jobs_on_one_machine_know_which_they_are(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("ssh")
    (there.work / ".queue").mkdir()
    (there.work / ".queue/machines").write_text("one\ntwo\none\n", encoding="utf-8")
    there.run("--together", "true", "JOB=1:3", "x.JOB.log", "bash", "-c", 'echo "slot<$XLSRT_SLOT>"')
    logs = [(there.work / f"x.{job}.log").read_text(encoding="utf-8") for job in (1, 2, 3)]
    assert [log.split("\nslot<")[1][0] for log in logs] == ["0", "0", "1"]


def test_ssh_ends_what_runs_there(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("ssh")
    (there.work / ".queue").mkdir()
    (there.work / ".queue/machines").write_text("one\ntwo\n", encoding="utf-8")
    shell = "trap 'touch saved.JOB; exit 143' TERM; touch on.JOB; while :; do sleep 0.05; done"
    process = there.start("JOB=1:2", "x.JOB.log", "bash", "-c", shell)
    wait_for(lambda: all((there.work / f"on.{job}").exists() for job in (1, 2)))
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert all((there.work / f"saved.{job}").exists() for job in (1, 2))
    # Ranks of one training: the first that fails ends the other.
    started = time.monotonic()
    shell = "test JOB = 1 || exec sleep 50; exit 3"
    there.run("--together", "true", "JOB=1:2", "y.JOB.log", "bash", "-c", shell, code=1)
    assert time.monotonic() - started < 40


def test_grid_engines_own_options_go_to_those_who_know_them(cluster: Callable[[str], Cluster]) -> None:
    there = cluster("sge")
    there.run("-V", "-l", "ram_free=1G", "-tc", "3", "JOB=1:4", "x.JOB.log", "true")
    assert "-V -l ram_free=1G" in " ".join(there.call()) and "-tc 3" in " ".join(there.call())
    assert "unknown option -l: it is Grid Engine's" in cluster("slurm").run(
        "-l", "x=1", "x.log", "true", code=2
    )


@pytest.mark.parametrize(
    ("words", "pe"),
    [
        (["--num-threads", "3"], "smp 3"),
        (["--gpu", "4", "--num_threads", "4", "--num_nodes", "2"], "mpi 2"),  # as ESPnet's launcher calls it
        (["-pe", "orte", "8", "--num-threads", "4"], "orte 8"),
    ],
)
def test_grid_engine_is_told_one_parallel_environment(
    cluster: Callable[[str], Cluster], words: list[str], pe: str
) -> None:
    there = cluster("sge")
    there.run(*words, "x.log", "true")
    call = there.call()
    assert [" ".join(call[at + 1 : at + 3]) for at, word in enumerate(call) if word == "-pe"] == [pe]


@QUEUES
def test_light_steps_of_the_recipe_ask_for_their_processors(
    cluster: Callable[[str], Cluster], system: str
) -> None:
    """As run.sh calls them in stages 2 to 4."""
    there = cluster(system)
    command = [sys.executable, "-m", "xlsrt.bin.run_step", "--title", "x", "--kind", "shapes"]
    command += ["--cmd", f"{there.script} --num-threads 2", "--log", "x/log/shapes.log"]
    command += ["--marker", "x/.done", "--outputs", "x/made", "--", "touch", "x/made"]
    env = {**there.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=there.work, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (there.work / "x/.done").exists()
    asked = {"slurm": "--cpus-per-task 2", "sge": "-pe smp 2", "pbs": "-l ncpus=2"}
    assert asked[system] in " ".join(there.call())
