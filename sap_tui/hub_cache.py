"""The models that lie in the local hub cache, without importing the library that put them there."""

from __future__ import annotations

import os
from pathlib import Path

PREFIX = "models--"


def cached_models() -> list[str]:
    """Their ids, `owner/name`, the one used last first; empty where there is no cache."""
    try:
        with os.scandir(_folder()) as entries:
            found = [(entry.stat().st_mtime, entry.name) for entry in entries if _holds_model(entry)]
    except OSError:
        return []
    return [name.removeprefix(PREFIX).replace("--", "/") for _, name in sorted(found, reverse=True)]


def _holds_model(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(PREFIX) and os.path.isdir(os.path.join(entry.path, "snapshots"))


def _folder() -> Path:
    """As huggingface_hub finds it."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface"
    )
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()
