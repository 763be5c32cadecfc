"""Hugging Face hub ids: from the local cache, or fetched into it where there is a network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xlsrt.encoder.checkpoints.hf import CONFIG, PREPROCESSOR, WEIGHTS
from xlsrt.errors import UserError

_TIMEOUT_SECONDS = 30
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(source: str) -> bool:
    """Whether ``source`` has the form ``owner/name``."""
    return _ID.fullmatch(source) is not None


def directory_of(hub_id: str) -> Path:
    """A local directory with the files of ``hub_id``; else a `UserError` that names files and place."""
    cached = cached_directory(hub_id)
    if cached is not None:
        return cached
    reason = "no network is to be used: HF_HUB_OFFLINE is set"
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() not in ("1", "ON", "YES", "TRUE"):
        fetched = _fetch(hub_id)
        if isinstance(fetched, Path):
            return fetched
        reason = fetched
    raise UserError(
        f"{hub_id} is not in the local cache ({cache_root() / _folder(hub_id)}) and cannot be fetched "
        f"({reason}). Where there is a network, fetch {CONFIG}, {PREPROCESSOR} and {WEIGHTS[0]} (or "
        f"{WEIGHTS[2]}) of {hub_id} into a directory, and give that directory as the source"
    )


def cache_root() -> Path:
    """The hub's cache directory, by the environment variables that huggingface_hub reads."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def cached_directory(hub_id: str) -> Path | None:
    """The snapshot of ``hub_id``'s main branch in the cache, if config and weights are both in it."""
    folder = cache_root() / _folder(hub_id)
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / revision
    complete = (snapshot / CONFIG).is_file() and any((snapshot / name).exists() for name in WEIGHTS)
    return snapshot if complete else None


def _folder(hub_id: str) -> str:
    return "models--" + hub_id.replace("/", "--")


def _fetch(hub_id: str) -> Path | str:
    """The fetched snapshot, or in words why there is none."""
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        return "the package huggingface_hub is not installed"
    try:
        # One request and no retries: without a network the answer is to come at once.
        files = [
            file.rfilename for file in HfApi().model_info(hub_id, timeout=_TIMEOUT_SECONDS).siblings or ()
        ]
        weights = next((name for name in WEIGHTS if name in files), None)
        if weights is None:
            return f"it has none of {', '.join(WEIGHTS)}"
        stem = weights.removesuffix(".index.json")
        shards = [] if weights == stem else [stem.replace(".", "-*.", 1)]
        return Path(snapshot_download(hub_id, allow_patterns=[CONFIG, PREPROCESSOR, weights, *shards]))
    except Exception as error:
        # Its errors come from three libraries and have no common base; all mean that the files are not here.
        return f"{type(error).__name__}: {(str(error).strip() or 'no details').splitlines()[0][:200]}"
