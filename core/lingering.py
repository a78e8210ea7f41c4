"""Whether logging out of this machine ends background processes, and how to outlive that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from enum import Enum
from pathlib import Path

CGROUP = Path("/proc/self/cgroup")
SECONDS = 2.0
SCOPE = ("systemd-run", "--user", "--scope", "--collect", "--quiet", "--")
WARNING = (
    "This machine ends your processes when you log out, runs too: stay logged in, or ask an administrator for"
    " loginctl enable-linger."
)
_LOGIN = "org.freedesktop.login1"


class Logout(Enum):
    """What becomes of a background process at logout."""

    SPARES = "spares it"
    ENDS = "ends it"
    SPARES_SCOPES = "ends it unless it has a scope of its own"


def logout() -> Logout:
    """Asks systemd's login manager, where this process belongs to one of its sessions at all; within seconds."""
    try:
        in_session = re.search(r"/session-[^/]*\.scope", CGROUP.read_text())
    except OSError:
        return Logout.SPARES
    if not in_session or os.geteuid() == 0 or not _kills_user_processes():
        return Logout.SPARES
    lingers = _answer("loginctl", "show-user", str(os.geteuid()), "--property=Linger", "--value") == "yes"
    return Logout.SPARES_SCOPES if lingers and shutil.which(SCOPE[0]) else Logout.ENDS


def _kills_user_processes() -> bool:
    path = f"/{_LOGIN.replace('.', '/')}"
    return _answer("busctl", "get-property", _LOGIN, path, f"{_LOGIN}.Manager", "KillUserProcesses") == "b true"


def _answer(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
