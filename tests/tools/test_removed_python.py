"""The environment's interpreter is a link: it is nothing where the Python that it led to has been removed."""

from __future__ import annotations

from pathlib import Path

from tests.recipe.test_setup_env import Machine


def test_an_environment_whose_python_is_gone_is_made_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.python()
    first = machine.setup()
    assert first.returncode == 0, first.stderr
    python = machine.venv / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "removed" / "python3")
    steps = len(machine.done())
    again = machine.setup()
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    assert machine.done()[steps:] == ["python3: venv", "python3: pip install uv", "python3: pip install lock"]
    assert python.exists()
    assert machine.setup().returncode == 0 and len(machine.done()) == 2 * steps
