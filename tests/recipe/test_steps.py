from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.waiting import is_alive, wait_for
from xlsrt.recipe.markers import read_marker
from xlsrt.recipe.step import Step, run_step

ROOT = Path(__file__).resolve().parents[2]


def make_step(folder: Path, command: str, **other: object) -> Step:
    values: dict[str, object] = {
        "title": "stage 0: trying",
        "kind": "data",
        "marker": folder / "out/.done",
        "command": ["bash", "-c", command],
    }
    return Step(**{**values, **other})  # type: ignore[arg-type]


def test_done_once_and_again_when_something_changes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, runs, out = tmp_path / "source", tmp_path / "runs", tmp_path / "result"
    source.write_text("1", encoding="utf-8")
    command = f"cp {source} {out}; echo x >> {runs}"

    def run(command: str = command) -> int:
        code = run_step(make_step(tmp_path, command, inputs=[str(source)], outputs=[str(out)]))
        assert code == 0
        return len(runs.read_text(encoding="utf-8").splitlines())

    assert run() == 1
    assert run() == 1
    assert "done already" in capfd.readouterr().out
    source.write_text("2", encoding="utf-8")
    assert run() == 2
    assert out.read_text(encoding="utf-8") == "2"
    assert run(command + "; true") == 3
    out.unlink()
    assert run(command + "; true") == 4
    assert run(command + "; true") == 4


def test_a_failure_leaves_no_marker_and_shows_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    step = make_step(tmp_path, "echo before; echo the reason >&2; exit 3", log=tmp_path / "log/x.log")
    assert run_step(step) == 3
    assert not step.marker.exists()
    shown = capfd.readouterr().err
    assert "stage 0: trying failed (exit code 3)" in shown
    assert "the reason" in shown
    assert "x.log" in shown


def test_a_redone_step_that_fails_is_not_taken_for_done(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1", encoding="utf-8")
    assert run_step(make_step(tmp_path, f"grep -q 1 {source}", inputs=[str(source)])) == 0
    source.write_text("2", encoding="utf-8")
    assert run_step(make_step(tmp_path, f"grep -q 1 {source}", inputs=[str(source)])) == 1
    source.write_text("1", encoding="utf-8")
    step = make_step(tmp_path, f"grep -q 1 {source}", inputs=[str(source)])
    assert not read_marker(step.marker)


def test_a_missing_output_is_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    step = make_step(tmp_path, "true", outputs=[str(tmp_path / "nothing")])
    assert run_step(step) == 1
    assert not step.marker.exists()
    assert "left no" in capfd.readouterr().err


def test_chosen_lines_of_the_log_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "train.log"
    log.write_text("1epoch results: of an earlier run\n", encoding="utf-8")
    step = make_step(
        tmp_path, "echo noise; echo '(x) INFO: 2epoch results: new'", log=log, echo=r"\d+epoch results"
    )
    assert run_step(step) == 0
    shown = capfd.readouterr().out
    assert "    2epoch results: new\n" in shown
    assert "noise" not in shown
    assert "earlier" not in shown


def start_script(tmp_path: Path, command: str, name: str = "one") -> subprocess.Popen[bytes]:
    """A shell script that runs one step, as run.sh does."""
    step = [sys.executable, "-m", "xlsrt.bin.run_step", "--title", name, "--kind", "data"]
    step += ["--marker", str(tmp_path / "out/.done"), "--", "bash", "-c", command]
    script = ["bash", "-c", '"$@"; exit $?', "run", *step]
    with open(tmp_path / f"{name}.out", "wb") as out:
        return subprocess.Popen(script, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=out, stderr=out)


@pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is told on Linux only")
def test_a_killed_script_takes_its_step_with_it_and_the_next_run_goes_on(tmp_path: Path) -> None:
    pid, result = tmp_path / "pid", tmp_path / "result"
    script = start_script(tmp_path, f"echo $$ > {pid}; sleep 60; echo done > {result}")
    wait_for(lambda: pid.exists() and pid.read_text(encoding="utf-8").strip())
    script.kill()
    script.wait()
    wait_for(lambda: not is_alive(int(pid.read_text(encoding="utf-8"))))
    assert not (tmp_path / "out/.done").exists()
    assert run_step(make_step(tmp_path, f"echo done > {result}", outputs=[str(result)])) == 0


def test_two_runs_do_a_step_once(tmp_path: Path) -> None:
    runs, go, shown = tmp_path / "runs", tmp_path / "go", tmp_path / "second.out"
    command = f"echo x >> {runs}; while [ ! -e {go} ]; do sleep 0.1; done"
    first = start_script(tmp_path, command, "first")
    wait_for(runs.exists)
    second = start_script(tmp_path, command, "second")
    wait_for(lambda: "waiting" in shown.read_text(encoding="utf-8"))
    go.touch()
    assert first.wait(60) == 0
    assert second.wait(60) == 0
    assert runs.read_text(encoding="utf-8") == "x\n"
    assert "done by another run" in shown.read_text(encoding="utf-8")


def test_a_signal_reaches_the_command(tmp_path: Path) -> None:
    pid, caught = tmp_path / "pid", tmp_path / "caught"
    script = start_script(
        tmp_path, f"trap 'echo yes > {caught}; exit 7' TERM; echo $PPID > {pid}; sleep 30 & wait"
    )
    wait_for(lambda: pid.exists() and pid.read_text(encoding="utf-8").strip())
    os.kill(int(pid.read_text(encoding="utf-8")), signal.SIGTERM)
    assert script.wait(60) == 128 + signal.SIGTERM, "it was asked to end, whatever it says of that itself"
    assert caught.exists()
    assert not (tmp_path / "out/.done").exists()


def test_a_quiet_step_says_warnings_and_errors_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step without a log prints is left out; a log keeps all; what goes wrong is said."""
    monkeypatch.setenv("XLSRT_QUIET", "true")
    words = "echo progress; echo careful >&2; echo quiet: ${XLSRT_QUIET:-no}"
    assert run_step(make_step(tmp_path, words)) == 0
    logged = make_step(tmp_path / "logged", words, log=tmp_path / "log", echo="prog")
    assert run_step(logged) == 0
    assert capfd.readouterr() == ("", "careful\n")
    told = (tmp_path / "log").read_text(encoding="utf-8").split("\n", 1)[1]
    assert told == "progress\ncareful\nquiet: no\n"
    assert run_step(make_step(tmp_path / "wrong", "false")) == 1
    assert "error: stage 0: trying failed" in capfd.readouterr().err


def test_steps_that_are_covered_are_done_as_they_were_asked_for(tmp_path: Path, capfd) -> None:
    """With the fingerprint from before the command; and undone where it fails, if they were done once."""
    source, out = tmp_path / "source", tmp_path / "b.txt"
    source.write_text("1", encoding="utf-8")

    def steps(command: str) -> tuple[Step, Step]:
        other = {
            "title": "the other",
            "marker": tmp_path / "b/.done",
            "outputs": [str(out)],
            "inputs": [str(source)],
        }
        other_step = make_step(tmp_path, "exit 9", **other)
        return make_step(tmp_path, command, covers=[other_step]), other_step

    step, other = steps(f"cp {source} {out}; flock -n {tmp_path}/b/.done.lock true && exit 8; true")
    assert run_step(step) == 0 and other.is_done() and run_step(other) == 0
    assert "the other: finished along with it" in capfd.readouterr().out
    step.marker.unlink()
    step, other = steps(f"cp {source} {out}; echo 2 > {source}")
    assert run_step(step) == 0 and not other.is_done(), "its input changed meanwhile"
    source.write_text("1", encoding="utf-8")
    step.marker.unlink()
    step, other = steps(f"echo 3 > {out}; exit 5")
    assert other.is_done()
    assert run_step(step) == 5 and not other.is_done(), "its output may be another by now"


def test_an_end_that_was_asked_for_is_no_failure(tmp_path: Path) -> None:
    """Commands may answer a signal with an exit code of their own."""
    on = tmp_path / "on"

    def end() -> None:
        wait_for(on.exists)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    step = make_step(tmp_path, f"trap 'exit 2' TERM; touch {on}; while :; do sleep 0.05; done")
    assert run_step(step) == 128 + signal.SIGTERM
    thread.join()


def test_outputs_count_that_were_made_the_last_time(tmp_path: Path) -> None:
    """A set that a corpus never makes is no reason to prepare it anew; one that was made and deleted is."""
    made, never = tmp_path / "data/a/wav.scp", tmp_path / "data/b/wav.scp"
    runs = tmp_path / "runs"
    command = f"mkdir -p {made.parent}; touch {made}; echo x >> {runs}"

    def run(*outputs: Path) -> int:
        pattern = str(tmp_path / "data/*/wav.scp")
        assert run_step(make_step(tmp_path, command, outputs=[*map(str, outputs)], makes=pattern)) == 0
        return len(runs.read_text(encoding="utf-8").splitlines())

    assert [run(made, never), run(made, never), run(never)] == [1, 1, 1]
    made.unlink()
    assert run(never) == 1, "nobody asks for it"
    assert run(made) == 2 and made.exists()
