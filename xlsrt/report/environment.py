"""The circumstances of a result: date, machine, versions, code."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

PACKAGES = ("xlsrt", "espnet", "torch", "torchaudio")


def versions() -> dict[str, str]:
    """Versions of the packages a result depends on, read without importing any of them."""
    from xlsrt import __version__

    found = {"xlsrt": __version__}
    for package in PACKAGES[1:]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def code_version(directory: Path | None = None) -> str:
    """Commit of the checkout with this package (``-dirty`` with changes), ``unknown`` outside of one."""
    where = directory or Path(__file__).resolve().parents[2]
    if not (where / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(where), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself; "" where the system does not say."""
    try:
        found = re.search(r"^model name\s*: *(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor()


@functools.cache
def gpu_models() -> str:
    """``8 x NVIDIA H200``; "" without GPUs, or where their driver does not answer."""
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    # Lines of parts of a GPU are indented.
    names = re.findall(r"^GPU \d+: (.+?)(?: \(UUID.*)?$", run.stdout, re.MULTILINE)
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).items())


def describe(command: str | None = None) -> list[str]:
    """The ``Environments`` list of ESPnet's RESULTS.md."""
    package = versions()
    machine = [f"{platform.system()} {platform.machine()}", f"{os.cpu_count()} CPU cores", cpu_model()]
    lines = [
        f"- date: `{datetime.datetime.now().astimezone().strftime('%a %b %d %H:%M:%S %Z %Y')}`",
        f"- machine: `{', '.join(part for part in (*machine, gpu_models()) if part)}`",
        f"- python version: `{sys.version.split()[0]}`",
        f"- espnet version: `espnet {package['espnet']}`",
        f"- pytorch version: `pytorch {package['torch']}`, torchaudio `{package['torchaudio']}`",
        f"- xlsrt version: `{package['xlsrt']}`",
        f"- Git hash: `{code_version()}`",
    ]
    if command:
        lines.append(f"- command: `{' '.join(command.split())}`")
    return lines
