"""Memory of this machine, within the limits that a container or a batch system sets by control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

# Of each version of control groups: where its files lie, the limit, the use, and the use that the kernel takes back.
_VERSIONS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def free_host_memory(root: Path = Path("/")) -> int:
    """Bytes that this process can still take; the limits are read below `root`."""
    return min([psutil.virtual_memory().available, *_rooms(root)])


def kills_for_memory(root: Path = Path("/")) -> int:
    """Grows whenever the kernel kills a process of this control group, or of this machine, for memory."""
    return sum(int(line.split()[1]) for line in _counts(root) if line.startswith("oom_kill "))


def _counts(root: Path) -> Iterator[str]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            yield from _text(root / "sys/fs/cgroup" / group.lstrip("/") / "memory.events").splitlines()
        elif controllers == "memory":
            yield from _text(root / "sys/fs/cgroup/memory" / group.lstrip("/") / "memory.oom_control").splitlines()
    yield from _text(root / "proc/vmstat").splitlines()


def _rooms(root: Path) -> Iterator[int]:
    """What each limit on this process leaves: of its own group and of every group around it."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        for name in {"", "memory"} & set(controllers.split(",")):
            mount, *files = _VERSIONS[name]
            # Inside a container the group's path may be the host's, while the mount shows the container's own group.
            place = Path(group.lstrip("/"))
            for folder in (place, *place.parents):
                yield from _room(root / mount / folder, *files)


def _room(folder: Path, limit: str, use: str, reclaimable: str) -> Iterator[int]:
    try:
        room = int(_text(folder / limit)) - int(_text(folder / use))
    except ValueError:
        return
    statistics = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
    yield max(0, room + int(statistics.get(reclaimable, 0)))


def _text(file: Path) -> str:
    """The file's text; empty where it cannot be read."""
    try:
        return file.read_text()
    except OSError:
        return ""
