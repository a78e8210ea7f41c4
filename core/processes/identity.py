"""Telling whether the very process that claimed a run still lives: by boot, pid and start time, never by a timeout."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from core.clock import boot_id
from core.domain import Identity


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
    try:
        if group and is_alive(identity) and os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
            return True
        return _signal_one(identity, number)
    except ProcessLookupError:
        return False


def _signal_one(identity: Identity, number: signal.Signals) -> bool:
    """Through a handle of the process that was looked at: a pid may be given away between the look and the signal."""
    if not hasattr(signal, "pidfd_send_signal"):
        if is_alive(identity):
            os.kill(identity.pid, number)
            return True
        return False
    handle = os.pidfd_open(identity.pid)
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)
    return True


def end_group_of(dead: Identity) -> list[int]:
    """Kill what a dead leader left of its process group; returns the pids.

    As long as one of them lives the system gives the leader's pid to nobody else; where it has, nothing is left.
    """
    if dead.boot != boot_id() or _start_time(dead.pid) is not None:
        return []
    left = [pid for pid in psutil.pids() if _group_of(pid) == dead.pid]
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return left


def _group_of(pid: int) -> int | None:
    """Process group of a living process; None when it is gone."""
    try:
        return None if _start_time(pid) is None else os.getpgid(pid)
    except OSError:
        return None


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
