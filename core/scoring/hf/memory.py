"""Memory of the devices that a model is on: what is free, peaks, and recovering from running out of it."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from core.host_memory import free_host_memory

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _RETURNED_BYTES = 32 << 20, 1 << 20


def devices_of(model: Any) -> list[torch.device]:
    """The devices that hold weights, the one that takes the input first."""
    placed = getattr(model, "hf_device_map", None) or {"": model.device}
    return list(dict.fromkeys([model.device, *map(torch.device, placed.values())]))


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free_cached_memory(model: Any) -> None:
    """To be called outside the `except` block, whose exception keeps tensors alive."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory_bytes(model: Any) -> int:
    """Highest memory in use so far: that of all its GPUs where the model is on some, else this process's."""
    if model.device.type == "cuda":
        return sum(torch.cuda.max_memory_allocated(device) for device in devices_of(model))
    return _peak_of_process()


def memory_bytes(model: Any) -> int:
    """Memory held at the moment, of the same devices."""
    if model.device.type == "cuda":
        return sum(torch.cuda.memory_reserved(device) for device in devices_of(model))
    return int(psutil.Process().memory_info().rss)


def _peak_of_process() -> int:
    """From Linux's own count: the other one begins with the size of the process that started this one."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory_bytes(model: Any) -> int:
    """The smallest free memory among the model's devices."""
    return min(_free_bytes(device) for device in devices_of(model))


def _free_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return free_host_memory()
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


@contextmanager
def returning_freed_memory() -> Iterator[None]:
    """Blocks over 1 MiB go back to the system as soon as they are freed, where the C library can be told so (glibc).

    Quantizing on a CPU frees a block for every one it keeps; measured, a process was left with twice the memory.
    Afterwards the library keeps freed blocks up to 32 MiB, where it arrives by itself too: computing needs them again.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _RETURNED_BYTES)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES)
