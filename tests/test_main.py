"""The package as users meet it: its public names, and `xlsrt COMMAND`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import xlsrt
from xlsrt.__main__ import commands
from xlsrt.bin import run_main

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_name_is_there_for_people_and_for_type_checkers():
    for name in xlsrt.__all__:
        assert getattr(xlsrt, name)
    blocks = [node for node in ast.parse(Path(xlsrt.__file__).read_text()).body if isinstance(node, ast.If)]
    typed = {alias.asname for node in blocks[0].body for alias in node.names}
    assert typed == set(xlsrt.__all__) - {"__version__"}
    assert (ROOT / "xlsrt/py.typed").is_file()


def xlsrt_command(*words):
    return subprocess.run([sys.executable, "-m", "xlsrt", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["estimate_memory", "list-variants"])
def test_a_command_runs_by_its_name(name):
    done = xlsrt_command(name, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: ") and not done.stderr


def test_the_list_has_every_command_line():
    done = xlsrt_command("--help")
    assert done.returncode == 0
    for path in (ROOT / "xlsrt/bin").glob("*.py"):
        assert path.stem == "__init__" or f"  {path.stem} " in done.stdout
    assert all(commands().values())
    assert xlsrt_command().returncode == 2
    assert xlsrt_command("--version").stdout.strip() == xlsrt.__version__


def test_an_unknown_command_names_the_nearest():
    done = xlsrt_command("transcibe")
    assert done.returncode == 2
    assert "error: there is no command transcibe; did you mean transcribe?" in done.stderr


def test_a_package_that_is_not_installed_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: __import__("no_such_package.part"))
    assert ended.value.code == 2
    assert "needs the package no_such_package" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):  # a fault of ours
        run_main(lambda: __import__("xlsrt.no_such_part"))
