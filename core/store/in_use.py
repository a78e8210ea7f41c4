"""Who works with a catalogue: every writer holds a shared lock, and what needs the file for itself an exclusive one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import SapError
from core.private_files import open_private, own_folder
from core.settings import state_folder
from core.text import visible

WAIT_SECONDS = 5.0
POLL_SECONDS = 0.05


class Use:
    """A writer's hold on the catalogue; the kernel lets it go when its process ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _open_lock(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        os.close(self._descriptor)


@contextmanager
def alone(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Whether no writer of any process holds the catalogue, after so many seconds at most; none can open it inside."""
    descriptor = _open_lock(path)
    try:
        deadline = time.monotonic() + seconds
        while not (got := _try(descriptor)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield got
    finally:
        os.close(descriptor)


def refuse_in_use(path: Path, what: str) -> None:
    """Raises SapError that names the processes of this user which have the catalogue open, also without our lock."""
    if holders := other_processes(path):
        pids = " ".join(str(pid) for pid, _ in holders)
        shown = ", ".join(f"{pid} ({visible(command)})" for pid, command in holders[:3])
        raise SapError(
            f"{visible(str(path))} cannot be {what} while another process works with it: {shown}.",
            f"Close it, or end it (its runs go on later): kill {pids}",
        )


def other_processes(path: Path) -> list[tuple[int, str]]:
    """Processes with this file open, other than this one, with their commands; those of other users stay unseen."""
    import psutil

    place = os.path.realpath(path)
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(file.path == place for file in process.open_files()):
                found.append((process.pid, " ".join(process.info["cmdline"] or [])[:80]))
    return found


def _open_lock(path: Path) -> int:
    return open_private(own_folder(state_folder(path)) / "in-use.lock", os.O_RDWR)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
