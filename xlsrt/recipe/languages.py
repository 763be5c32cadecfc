"""The table of languages that training needs where it balances them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.settings import typed

TABLE = "utt2lang"


def balances(settings: Mapping[str, Any]) -> bool:
    """Whether a training with these settings changes the shares of languages."""
    return float(typed(settings.get("language_balance", 1), float, "language_balance")) < 1


def languages_beside(table: Path) -> Path:
    """The ``utt2lang`` that belongs to a table such as wav.scp: its neighbour, or the same part of it where
    the set has been split (`xlsrt.data.splits`).

    Raises:
        UserError: there is none.
    """
    folder = table.parent
    is_part = (folder / "num_splits").is_file()
    path = folder.with_name(TABLE) / table.name if is_part else table.with_name(TABLE)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so the languages cannot be balanced: leave language_balance out, or "
            "write `utterance language` lines into data/<set>/utt2lang and run stages 2 and 4 again"
        )
    return path
