"""What a user sees of a fault of ours: one line, and where a log without secrets lies."""

from __future__ import annotations

import os
import re
import time
import traceback
from pathlib import Path

from textual.worker import WorkerFailed

from core.private_files import private_folder
from core.settings import state_folder
from core.text import visible

SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
LEAST_SECRET_LENGTH = 6


def crash_line(catalogue: Path, error: BaseException) -> str:
    """Write the log (mode 0600, no local variables) and return the line that names it.

    Of a fault in a worker the fault itself is meant, not Textual's word for it.
    """
    error = error.error if isinstance(error, WorkerFailed) else error
    path = state_folder(catalogue) / "logs" / f"app-crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        private_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(redacted("".join(traceback.format_exception(error))))
    except OSError:
        return f"sap-tui: a fault of the program ended it ({type(error).__name__}). Runs go on in the background."
    where = visible(str(path))
    return f"sap-tui: a fault of the program ended it ({type(error).__name__}). Runs go on. Please report {where}"


def redacted(text: str) -> str:
    """The text without the values of environment variables that are named like secrets."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= LEAST_SECRET_LENGTH:
            text = text.replace(value, f"<{name}>")
    return visible(text, multiline=True)
