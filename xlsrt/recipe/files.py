"""Files that one step hands to the next."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path


def copy_file(source: Path, target: Path) -> None:
    """A copy that is there whole or not at all; one that is equal already stays."""
    if not target.is_file() or not filecmp.cmp(source, target, shallow=False):
        partial = target.with_suffix(".partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
