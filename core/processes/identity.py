"""Telling whether the very process that claimed a run still lives: by boot, pid and start time, never by a timeout."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from core.clock import boot_id
from core.domain import Identity

# Looking through all processes takes a while, and nobody rises again: another start time is another identity.
_known_dead: set[Identity] = set()


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
    return pid_here(identity) is not None


def is_gone(identity: Identity) -> bool:
    """Whether it surely lives no more; of a process on another host, or in a container, nobody can tell from here."""
    return identity.host == socket.gethostname() and not is_alive(identity)


def pid_here(identity: Identity) -> int | None:
    """The living process's number among the processes that can be seen from here; None when it is gone.

    A process in a container has another number inside than outside; who looks from outside sees both.
    """
    if identity.boot != boot_id() or identity in _known_dead:
        return None
    if _start_time(identity.pid) == identity.start:
        return identity.pid
    pid = next(_pids_in_containers(identity), None)
    if pid is None:
        _known_dead.add(identity)
    return pid


def send_signal(identity: Identity, number: signal.Signals, *, group: bool = False) -> bool:
    """Signal that process (or its group, if it leads one) and no other; False when it is gone."""
    pid = pid_here(identity)
    if pid is None:
        return False
    try:
        if group and os.getpgid(pid) == pid:
            os.killpg(pid, number)
            return True
        return _signal_one(pid, identity, number)
    except ProcessLookupError:
        return False


def _signal_one(pid: int, identity: Identity, number: signal.Signals) -> bool:
    """Through a handle of the process that was looked at: a pid may be given away between the look and the signal."""
    if not hasattr(signal, "pidfd_send_signal"):
        os.kill(pid, number)
        return True
    handle = os.pidfd_open(pid)
    try:
        if pid_here(identity) != pid:
            return False
        signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)
    return True


def end_group_of(dead: Identity) -> list[int]:
    """Kill what a dead leader left of its process group; returns the pids.

    As long as one of them lives the system gives the leader's pid to nobody else; where it has, nothing is left.
    """
    if (dead.host, dead.boot) != (socket.gethostname(), boot_id()) or _start_time(dead.pid) is not None:
        return []
    left = [pid for pid in psutil.pids() if _group_of(pid) == dead.pid]
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return left


def _pids_in_containers(identity: Identity) -> Iterator[int]:
    """Processes whose number in the innermost namespace that they have is the identity's."""
    for pid in psutil.pids():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
        if len(numbers) > 1 and int(numbers[-1]) == identity.pid and _start_time(pid) == identity.start:
            yield pid


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
