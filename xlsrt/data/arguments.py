"""Value types of command line options."""

from __future__ import annotations

import argparse


def yes_or_no(text: str) -> bool:
    """``true`` or ``false``, as in ESPnet's options."""
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0", "none"):
        return False
    raise argparse.ArgumentTypeError(f"'{text}': write true or false")
