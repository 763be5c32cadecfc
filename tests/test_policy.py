"""Rules of the house: who imports whom, sizes, documented options, no network at import, no local paths."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "xlsrt"
FILES = sorted(PACKAGE.rglob("*.py"))
BINS = sorted(path.stem for path in (PACKAGE / "bin").glob("*.py") if path.stem != "__init__")

# context -> encoder -> transducer -> search -> recognizer -> espnet_task -> bin: left never imports right.
# The other rooms stand at the side. Every room may import `errors` and `units`.
MAY_IMPORT = {
    "errors": set(),
    "units": set(),
    "cpu": set(),
    "text": set(),
    "numbers": set(),
    "processes": set(),
    "settings": {"numbers"},
    "files": set(),
    "tensor_files": {"files"},
    "ctm": {"files"},
    "tree": {"files"},
    "context": {"settings"},
    "encoder": {"context", "settings", "files", "tensor_files", "tree"},
    "transducer": {"cpu", "settings"},
    "search": {"context", "transducer", "settings"},
    "recognizer": {
        *("context", "encoder", "transducer", "search", "text", "data"),
        *("settings", "ctm", "tensor_files", "tree"),
    },
    "decoding": {
        *("context", "encoder", "search", "recognizer", "data"),
        *("files", "tree", "numbers", "settings", "ctm", "processes"),
    },
    "alignment": {"context", "recognizer", "data", "files", "ctm"},
    "live": {"context", "search", "recognizer", "decoding", "data", "files"},
    "bench": {
        "context",
        "encoder",
        "transducer",
        "search",
        "recognizer",
        "decoding",
        "data",
        "report",
        "espnet_task",
        "pretrain",
    },
    "pretrain": {"context", "encoder", "data", "files", "cpu", "settings", "tensor_files"},
    "memory": {"context", "encoder", "transducer", "settings"},
    "espnet_task": {
        *("context", "encoder", "transducer", "search", "recipe", "pretrain"),
        *("settings", "files", "cpu", "tensor_files", "tree", "processes"),
    },
    "data": {"files", "ctm", "processes"},
    "report": {"context", "encoder", "decoding", "recognizer", "data", "files", "ctm"},
    "recipe": {
        *("context", "report", "search", "data"),
        *("files", "tree", "settings", "tensor_files", "ctm", "processes"),
    },
}
# What a room may load from outside, of the heavy packages.
HEAVY = {"torch", "torchaudio", "espnet", "espnet2", "transformers", "matplotlib"}
MAY_LOAD = {
    "context": {"torch"},
    "tensor_files": {"torch"},
    "cpu": {"torch"},
    "encoder": {"torch"},
    "transducer": {"torch", "torchaudio"},
    "search": {"torch"},
    "recognizer": {"torch"},
    "decoding": {"torch"},
    "alignment": {"torch", "torchaudio"},
    # The benchmark measures the reference implementations beside ours.
    "bench": {"torch", "torchaudio", "transformers"},
    "pretrain": {"torch", "torchaudio"},
    "memory": {"torch"},
    "espnet_task": {"torch", "torchaudio", "espnet2"},
    "data": {"matplotlib"},
    "report": {"torch", "matplotlib"},
    "recipe": {"torch"},
    "bin": {"torch"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path, outermost: bool = False) -> Iterator[str]:
    """Full names of what a module imports; ``outermost``: only what importing it imports."""
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            yield node.module
        elif not (outermost and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            nodes.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_left_never_imports_right(path: Path) -> None:
    room = room_of(path)
    if room in ("bin", "__init__", "__main__"):
        return
    assert room in MAY_IMPORT, f"{room} is a new room: say in this test what it may import"
    for name in imports(path):
        if name.startswith("xlsrt."):
            other = name.split(".")[1]
            assert other in MAY_IMPORT[room] | {room, "errors", "units"}, f"{room} must not import {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)} & HEAVY
    assert used <= MAY_LOAD.get(room_of(path), set())


def test_no_room_may_more_than_it_does() -> None:
    used: dict[str, set[str]] = {}
    for path in FILES:
        names = (name.split(".") for name in imports(path))
        used.setdefault(room_of(path), set()).update(
            name[1] if name[0] == "xlsrt" and len(name) > 1 else name[0] for name in names
        )
    for table in (MAY_IMPORT, MAY_LOAD):
        assert {room: others - used[room] for room, others in table.items() if others - used[room]} == {}


def test_import_direction_has_no_circle() -> None:
    done: set[str] = set()
    left = {room: set(others) for room, others in MAY_IMPORT.items()}
    while left:
        free = {room for room, others in left.items() if others <= done}
        assert free, f"circle among {sorted(left)}"
        done |= free
        left = {room: others for room, others in left.items() if room not in free}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 310
    assert ast.get_docstring(ast.parse(text)), "a module says in its first line what it is"
    assert "from __future__ import annotations" in text or len(text.splitlines()) < 12


def test_units_have_one_home() -> None:
    """The sampling rate, the hop and a frame's length are constants of `xlsrt.units` alone."""
    again = re.compile(r"^[A-Z_]+ *= *(16000|320|0\.02)\b", re.M)
    for path in FILES:
        if path.name != "units.py":
            assert not again.search(path.read_text(encoding="utf-8")), path


def test_every_room_has_its_tests() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__", "errors", "units"}
    tests = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    tests |= {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    assert rooms - tests == set()


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options of a command line and of the commands below it."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from options(below)
        elif action.option_strings:
            yield action


@pytest.mark.parametrize("name", [name for name in BINS if name != "asr_train"])
def test_every_option_is_documented(name: str) -> None:
    parser = importlib.import_module(f"xlsrt.bin.{name}").get_parser()
    assert parser.description
    assert len([*options(parser)]) > 1 or parser._get_positional_actions()
    for action in options(parser):
        assert action.help, f"{name} {action.option_strings[0]}"


@pytest.mark.parametrize("name", [name for name in BINS if name != "asr_train"])
def test_a_model_is_given_by_either_word(name: str) -> None:
    for action in options(importlib.import_module(f"xlsrt.bin.{name}").get_parser()):
        words = {"--model", "--exp_dir"}
        assert words & set(action.option_strings) in (set(), words), f"{name} {action.option_strings}"


@pytest.mark.parametrize("name", BINS)
def test_command_lines_are_thin(name: str) -> None:
    path = PACKAGE / f"bin/{name}.py"
    text = path.read_text(encoding="utf-8")
    assert "run_main(main)" in text
    assert len(text.splitlines()) <= 160


def test_light_tools_start_without_torch() -> None:
    """run.sh asks them dozens of questions; a second run takes seconds because of this."""
    light = ["run_step", "train_stage", "evaluate", "list_variants", "score", "format_data", "data_dir"]
    light += ["check_start", "prepare_corpus"]
    code = "import importlib, sys\n"
    code += f"[importlib.import_module('xlsrt.bin.' + name) for name in {light!r}]\n"
    code += f"print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_goes_to_the_network_at_import() -> None:
    """Every module, espnet's included, is imported where no name resolves and no connection opens."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]
    modules = [name.removesuffix(".__init__") for name in modules]
    code = (
        "import importlib, socket, sys\n"
        "tried = []\n"
        "def refuse(*words, **more):\n"
        "    tried.append(words)\n"
        "    raise OSError('no network in this test')\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "print(tried)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_paths_of_a_machine_and_nothing_large() -> None:
    machine = re.compile(rb"(?<![\w.])/(?:home|root|work|tmp|Users)/\w")
    for path in tracked():
        limit = 8 * 2**20 if path.suffix == ".safetensors" else 2**20
        assert path.stat().st_size <= limit, path
        if path.suffix in (".py", ".sh", ".yaml", ".toml", ".md", ".lock", ".txt", ".pl"):
            assert not machine.search(path.read_bytes()), path


def test_shell_scripts_are_strict() -> None:
    sourced = {"path.sh", "cmd.sh", "utils/parse_options.sh"}
    for path in tracked():
        if path.suffix == ".sh" and str(path.relative_to(ROOT)) not in sourced:
            text = path.read_text(encoding="utf-8")
            assert text.startswith("#!/usr/bin/env bash\n"), path
            assert "set -euo pipefail" in text, path
            assert path.stat().st_mode & 0o111, f"{path} is not executable"
