"""What an experiment was made by: command, code, packages, machine; an entry for each start."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.report.environment import code_version
from xlsrt.tree import read_tree, write_tree

RECORD = "record.yaml"


def add_record(exp_dir: Path, title: str, command: Sequence[str]) -> None:
    """Add an entry to ``record.yaml``, and what the checkout had uncommitted to ``code.patch``."""
    path = exp_dir / RECORD
    try:
        entries = read_tree(path).get("runs") or []
    except UserError:
        entries = []
    entry = {
        "title": title,
        "started": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "recipe": os.environ.get("XLSRT_COMMAND", ""),
        "command": shlex.join(command),
        "code": code_version(),
        "python": sys.version.split()[0],
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
    }
    write_tree(path, {"runs": [*entries, entry], "packages": package_versions()})
    patch = uncommitted()
    if patch:
        (exp_dir / "code.patch").write_bytes(patch)


def package_versions() -> dict[str, str]:
    """Every installed package and its version."""
    found = {str(d.metadata["Name"]): d.version for d in metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def uncommitted() -> bytes:
    """The difference of tracked files from the last commit; empty outside of a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return b""
    command = ["git", "-C", str(root), "diff", "HEAD", "--", "xlsrt", "conf", "run.sh"]
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return b""
