"""What this machine is, for the page."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path


def describe() -> dict[str, str]:
    cores, gigabytes = os.cpu_count(), _memory_bytes() / 1e9
    return {
        "processor": _processor(),
        "cores": str(cores),
        "memory": f"{gigabytes:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def library_versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def _processor() -> str:
    """The processor's name and what it has for matrix products."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    extensions = [
        name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in fields.get("flags", "").split()
    ]
    numbers = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
    return f"{fields.get('model name', platform.machine())} ({numbers}; {', '.join(extensions)})"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_bytes(process: int) -> int:
    """The most memory that a process had itself: `ru_maxrss` begins with that of the process that started it."""
    with open(f"/proc/{process}/status", encoding="ascii") as status:
        (kibibytes,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    return int(kibibytes) * 1024
