"""Compare the packages of the running interpreter with requirements.lock (standard library only).

`check_env.py [--quiet] LOCK` exits 1 where packages are missing; with --quiet (our own environment) other
versions count as missing too, without it (somebody else's) they are named in a warning and accepted.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

# What the recipe imports itself; everything else in the lock comes with these or serves tests and checks.
NEEDED = (
    "espnet", "torch", "torchaudio", "tensorboard", "soundfile", "soxr", "kaldiio", "sentencepiece", "pyyaml",
    "safetensors", "jiwer", "rapidfuzz", "matplotlib", "espeakng-loader",
)  # fmt: skip


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(lock: Path) -> dict[str, set[str]]:
    """Package name -> versions it may have; several where Pythons or systems differ."""
    versions: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==([^\s;]+)", line):
            versions.setdefault(canonical(match[1]), set()).add(match[2])
    return versions


def main() -> int:
    strict = "--quiet" in sys.argv
    locked = locked_versions(Path(sys.argv[-1]))
    # A local suffix such as 2.12.1+cpu names another build of the same version.
    installed = {canonical(d.metadata["Name"]): d.version.split("+")[0] for d in metadata.distributions()}
    names = [*NEEDED, "pytest", "ruff", "mypy", "hypothesis"] if strict else list(NEEDED)
    missing = [name for name in names if name not in installed]
    other = [
        f"{name} {installed[name]}"
        for name in names
        if name in installed and installed[name] not in locked[name]
    ]
    if strict:
        other += [n for n, v in installed.items() if n in locked and v not in locked[n]]
        return int(bool(missing or other))
    if other:
        print(f"warning: other versions than requirements.lock: {', '.join(other)}")
    if missing:
        print(f"missing packages: {', '.join(missing)}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
