"""Copying from a terminal that may be far away: nothing tells whether a text arrived, so a file holds it too."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from core.errors import SapError
from core.export.files import write_atomically
from core.private_files import own_folder
from core.settings import state_folder

if TYPE_CHECKING:
    from sap_tui.app import SapApp

TMUX_SECONDS = 2.0


def send(app: SapApp, text: str) -> str:
    """Send the text to the clipboard and to a file; returns what to tell the user."""
    if not _sent_through_tmux(text):
        app.copy_to_clipboard(text)
    path = state_folder(app.catalogue) / "last-copy.txt"
    try:
        own_folder(path.parent)
        write_atomically(path, f"{text}\n")
    except (OSError, SapError):
        return "Sent to the clipboard."
    return f"Sent to the clipboard, and written to {path}"


def _sent_through_tmux(text: str) -> bool:
    """tmux drops the escape sequence by which a program sets the clipboard, but passes its own buffers on."""
    if "TMUX" not in os.environ or shutil.which("tmux") is None:
        return False
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        return subprocess.run(command, input=text.encode(), capture_output=True, timeout=TMUX_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
