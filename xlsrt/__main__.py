"""`xlsrt COMMAND ...`, or `python -m xlsrt COMMAND ...`: the command lines of `xlsrt.bin` by their names."""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
import textwrap
from pathlib import Path

from xlsrt import __version__
from xlsrt.bin import run_main

_BIN = Path(__file__).parent / "bin"


def commands() -> dict[str, str]:
    """Name -> what its docstring says first; read, not imported, because some would load torch."""
    files = (path for path in sorted(_BIN.glob("*.py")) if path.stem != "__init__")
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    return {name: (ast.get_docstring(tree) or "").split("\n\n")[0] for name, tree in trees.items()}


def usage() -> str:
    """What `xlsrt --help` prints."""
    known = commands().items()
    lines = [f"  {name:<16} {textwrap.shorten(said, 90, placeholder=' ...')}" for name, said in known]
    head = ["usage: xlsrt COMMAND ...", "", "`xlsrt COMMAND --help` tells of its options. Commands:", ""]
    return "\n".join(head + lines)


def run() -> None:
    """Run the command that the command line names, and leave the process."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print(__version__)
        sys.exit(0)
    name = words[0].replace("-", "_")
    if name not in commands():
        close = difflib.get_close_matches(name, commands(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        print(f"error: there is no command {words[0]}{hint} `xlsrt --help` lists them", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"xlsrt {name}", *words[1:]]
    run_main(lambda: importlib.import_module(f"xlsrt.bin.{name}").main())


if __name__ == "__main__":
    run()
