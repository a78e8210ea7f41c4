"""Time for ages and deadlines, which nobody can set; the wall clock is for display only."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import psutil


@functools.cache
def boot_id() -> str:
    """Another value after every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"boot-{psutil.boot_time():.0f}"


def since_boot() -> float:
    """Seconds since the machine started, those of its sleep too; the same for every process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def awake() -> float:
    """Seconds that go on only while the machine is awake, from any start."""
    return time.monotonic()


def age(boot: str | None, moment: float | None) -> float | None:
    """Seconds since a moment of `since_boot` in that boot; None where it was in another boot, or never."""
    return since_boot() - moment if boot == boot_id() and moment is not None else None
