from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

RUN_PL = str(Path(__file__).resolve().parents[2] / "utils/run.pl")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RUN_PL, *words], capture_output=True, text=True, timeout=60)


def test_jobs_get_their_number_and_their_own_log(tmp_path: Path) -> None:
    done = run(
        "--gpu", "0", "--mem", "2G", "JOB=1:3", f"{tmp_path}/log/x.JOB.log", "echo", "part JOB", "$HOME"
    )
    assert done.returncode == 0, done.stderr
    for job in (1, 2, 3):
        log = (tmp_path / f"log/x.{job}.log").read_text(encoding="utf-8")
        # Several words are arguments, not a shell's command line.
        assert f"\npart {job} $HOME\n" in log
        assert log.endswith("ended with code 0\n")


def test_a_failed_job_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    done = run("JOB=1:3", f"{tmp_path}/x.JOB.log", "bash", "-c", "echo this is JOB; test JOB != 2")
    assert done.returncode == 1
    assert "job 2 failed" in done.stderr
    assert "this is 2" in done.stderr
    assert "this is 1" not in done.stderr
    assert "1 of 3 jobs failed" in done.stderr


def test_a_single_word_is_a_shell_line_and_logs_are_continued(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for _ in range(2):
        assert run(str(log), "echo a | tr a b").returncode == 0
    assert log.read_text(encoding="utf-8").count("\nb\n") == 2


def test_pipes_and_redirections_are_the_shells(tmp_path: Path) -> None:
    log = tmp_path / "x.JOB.log"
    words = ["echo", "it's <unk> a|b; *", "|", "tr", "a-z", "A-Z", ">", f"{tmp_path}/out.JOB"]
    assert run("JOB=1:2", str(log), *words).returncode == 0
    for job in "12":
        assert (tmp_path / f"out.{job}").read_text() == "IT'S <UNK> A|B; *\n"
    assert run(str(tmp_path / "y.log"), "ls", "/none", "2>&1", "||", "echo", "<s>").returncode == 0
    assert "\n<s>\n" in (tmp_path / "y.log").read_text()
    code = "import sys; print(sys.argv[1:])"
    assert run(str(tmp_path / "z.log"), sys.executable, "-c", code, "<blank>", "a>b", "x;y").returncode == 0
    assert "['<blank>', 'a>b', 'x;y']" in (tmp_path / "z.log").read_text()


def test_max_jobs_run_is_kept(tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/alone || exit 1; sleep 0.1; rmdir {tmp_path}/alone"
    assert (
        run("--max-jobs-run", "1", "JOB=1:4", f"{tmp_path}/x.JOB.log", "bash", "-c", script).returncode == 0
    )


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    log = f"{tmp_path}/x.log"
    for words, message in (
        (["--gpus", "1", log, "true"], "unknown option --gpus"),
        ([log], "usage"),
        (["JOB=1:2", log, "true", "x"], "share one log"),
        (["JOB=3:2", log, "true", "x"], "bad job range"),
    ):
        done = run(*words)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_command_that_is_not_there_fails(tmp_path: Path) -> None:
    done = run(f"{tmp_path}/x.log", "no-such-program", "x")
    assert done.returncode == 1
    assert "cannot run no-such-program" in done.stderr


def test_stopped_between_jobs_is_no_success(tmp_path: Path) -> None:
    """The job that ran ended well, and the others were never begun."""
    script = f"touch {tmp_path}/on; sleep 1"
    words = (
        "--max-jobs-run",
        "1",
        "JOB=1:3",
        f"{tmp_path}/x.JOB.log",
        "bash",
        "-c",
        f"trap '' TERM; {script}",
    )
    process = subprocess.Popen([RUN_PL, *words])
    while not (tmp_path / "on").exists():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (tmp_path / "x.2.log").exists()
