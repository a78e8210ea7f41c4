"""Telling whether the very process that claimed a run still lives: by boot, pid and start time, never by a timeout."""

from __future__ import annotations

import functools
import os
import signal
import socket
from pathlib import Path

import psutil

from core.domain import Identity


@functools.cache
def boot_id() -> str:
    """Another value after every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"boot-{psutil.boot_time():.0f}"


def identity_of(pid: int) -> Identity | None:
    """Identity of a living process; None when there is none or it is a zombie."""
    start = _start_time(pid)
    return None if start is None else Identity(socket.gethostname(), boot_id(), pid, start)


def own_identity() -> Identity:
    identity = identity_of(os.getpid())
    if identity is None:
        raise OSError("this process cannot read its own start time")
    return identity


def is_alive(identity: Identity) -> bool:
    return identity.boot == boot_id() and _start_time(identity.pid) == identity.start


def send_signal(identity: Identity, number: signal.Signals, *, group: bool = False) -> bool:
    """Signal that process (or its group, if it leads one) and no other; False when it is gone."""
    if not is_alive(identity):
        return False
    try:
        if group and os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_time_elsewhere(pid)
    except OSError:
        return None
    # The process name stands in parentheses and may hold anything, spaces and parentheses too.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _start_time_elsewhere(pid: int) -> int | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None
