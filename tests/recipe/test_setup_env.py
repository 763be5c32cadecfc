"""The making of the environment, with stand-ins for Python, pip and uv: nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "bash",
    "env",
    "dirname",
    "basename",
    "grep",
    "cksum",
    "cat",
    "mkdir",
    "rm",
    "mv",
    "touch",
    "flock",
    "sed",
    "chmod",
)

# A Python that makes environments by copying itself and installs by writing a line.
PYTHON = """#!/usr/bin/env bash
log() {{ echo "{name}: $*" >> "{log}"; }}
case "$*" in
  *sys.version_info*) exit {bad} ;;
  *check_env.py*) [ -e "$(dirname "$0")/../installed" ] ;;
  "-m venv --without-pip "*) log without-pip; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  "-m venv "*) log venv; [ {ensurepip} = yes ] || exit 1; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m virtualenv "*) exit 1 ;;
  "-m pip --version") exit 0 ;;
  *"pip "*install*uv==*) log pip install uv; {pip_uv} ;;
  *"pip install"*) log pip install lock; touch "$(dirname "$0")/../installed" ;;
  *) log "unexpected $*"; exit 9 ;;
esac
"""
UV = """#!/usr/bin/env bash
case "$*" in
  "venv "*) echo "uv: venv" >> "{log}"; mkdir -p "${{!#}}/bin"; cp "{python}" "${{!#}}/bin/python" ;;
  "pip install "*) echo "uv: install" >> "{log}"; {install}; touch "$(dirname "$4")/../installed" ;;
esac
"""


class Machine:
    """A folder of stand-ins that is all of PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.log, self.venv = folder / "bin", folder / "log", folder / "venv"
        self.bin.mkdir()
        for tool in TOOLS:
            self.link(tool)

    def link(self, tool: str) -> None:
        found = shutil.which(tool)
        assert found, tool
        (self.bin / tool).symlink_to(found)

    def write(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def python(
        self, name: str = "python3", bad: int = 0, ensurepip: str = "yes", pip_uv: str = "exit 1"
    ) -> None:
        self.link("cp") if not (self.bin / "cp").exists() else None
        self.write(name, PYTHON.format(name=name, log=self.log, bad=bad, ensurepip=ensurepip, pip_uv=pip_uv))

    def uv(self, install: str = "true") -> None:
        self.write("uv", UV.format(log=self.log, python=self.bin / "python3", install=install))

    def setup(self, **more: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "XLSRT_VENV": str(self.venv), "HOME": str(self.bin), **more}
        script = str(ROOT / "utils/setup_env.sh")
        return subprocess.run(["bash", script], env=env, capture_output=True, text=True, timeout=60)

    def done(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_made_once(machine: Machine) -> None:
    machine.python()
    first = machine.setup()
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"{machine.venv}/bin/python\n"
    steps = machine.done()
    assert steps == ["python3: venv", "python3: pip install uv", "python3: pip install lock"]
    assert machine.setup().stdout == first.stdout
    assert machine.done() == steps


def test_uv_does_it_where_there_is_one(machine: Machine) -> None:
    machine.python()
    machine.uv()
    assert machine.setup().returncode == 0
    assert machine.done() == ["uv: venv", "uv: install"]


def test_a_uv_that_fails_is_no_end(machine: Machine) -> None:
    machine.python()
    machine.uv(install="exit 1")
    assert machine.setup().returncode == 0
    assert machine.done()[-1] == "python3: pip install lock"


def test_uv_is_put_into_the_environment_first(machine: Machine) -> None:
    uv = '"$(dirname "$0")/uv"'
    machine.python(pip_uv=f'printf "#!/bin/sh\\ntouch $(dirname "$0")/../installed" > {uv}; chmod +x {uv}')
    assert machine.setup().returncode == 0
    assert machine.done() == ["python3: venv", "python3: pip install uv"]


def test_without_ensurepip_there_is_a_way(machine: Machine) -> None:
    machine.python(ensurepip="no")
    assert machine.setup().returncode == 0
    assert "python3: without-pip" in machine.done()


def test_a_half_made_environment_is_made_again(machine: Machine) -> None:
    machine.python()
    (machine.venv / "bin").mkdir(parents=True)
    (machine.venv / ".unfinished").touch()
    (machine.venv / "rubbish").touch()
    assert machine.setup().returncode == 0
    assert not (machine.venv / "rubbish").exists()
    assert not (machine.venv / ".unfinished").exists()


def test_a_failed_installation_is_not_taken_for_done(machine: Machine) -> None:
    machine.python(pip_uv='printf "#!/bin/sh\\nexit 1" > "$(dirname "$0")/uv"; chmod +x "$(dirname "$0")/uv"')
    done = machine.setup()
    assert done.returncode == 2
    assert "installing requirements.lock failed" in done.stderr
    assert (machine.venv / ".unfinished").exists()
    machine.python()
    assert machine.setup().returncode == 0


def test_another_lock_installs_again_in_place(machine: Machine) -> None:
    machine.python()
    assert machine.setup().returncode == 0
    (machine.venv / ".installed").write_text("of an older lock", encoding="utf-8")
    (machine.venv / "installed").unlink()
    (machine.venv / "kept").touch()
    assert machine.setup().returncode == 0
    assert machine.done()[-1] == "python3: pip install lock"
    assert (machine.venv / "kept").exists()


def test_shims_that_do_not_work_are_passed_over(machine: Machine) -> None:
    machine.python("python3", bad=1)
    machine.python("python3.11", bad=1)
    machine.python("python3.10")
    assert machine.setup().returncode == 0
    assert machine.done()[0] == "python3.10: venv"


def test_no_python_says_what_to_install(machine: Machine) -> None:
    machine.python("python3", bad=1)
    done = machine.setup()
    assert done.returncode == 2
    assert "no Python 3.10, 3.11 or 3.12 found. Install one" in done.stderr
    assert not machine.venv.exists()


def test_an_existing_environment_is_used_as_it_is(machine: Machine) -> None:
    machine.python()
    for given in (sys.executable, str(Path(sys.executable).parents[1])):
        done = machine.setup(XLSRT_PYTHON=given, PATH=os.environ["PATH"])
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).parent == Path(sys.executable).parent
    assert not machine.venv.exists()
    assert machine.done() == []


def test_an_existing_environment_must_have_the_packages(machine: Machine) -> None:
    machine.python()
    done = machine.setup(XLSRT_PYTHON=str(machine.bin / "python3"))
    assert done.returncode == 2
    assert "lacks packages: install requirements.lock there" in done.stderr
    done = machine.setup(XLSRT_PYTHON=str(machine.bin / "nothing"))
    assert done.returncode == 2
    assert "is no Python interpreter" in done.stderr


def test_every_needed_package_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower()
    wanted = [
        line.split("==")[0]
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert len(wanted) > 15
    assert [name for name in wanted if f"\n{name}==" not in f"\n{lock}"] == []
    assert "://" not in lock
