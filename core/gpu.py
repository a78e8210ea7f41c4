"""The GPUs of this machine and their free memory, without importing torch."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in bytes. `index` counts the GPUs that this process may use, as torch does."""

    index: int
    name: str
    free: int
    total: int

    @property
    def device(self) -> str:
        return f"cuda:{self.index}"


def gpus() -> list[Gpu]:
    """The GPUs that this process may use; empty without a driver, or where torch was built without CUDA."""
    if torch_cuda_version() is None:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        uuids = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        chosen = visible(uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
        return [_gpu(pynvml, index, pynvml.nvmlDeviceGetHandleByUUID(uuid)) for index, uuid in enumerate(chosen)]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def memory_of_processes() -> dict[int, int]:
    """Bytes of GPU memory by process id, as far as the driver tells; empty without one."""
    if torch_cuda_version() is None:
        return {}
    import pynvml

    held: dict[int, int] = {}
    try:
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                held[process.pid] = held.get(process.pid, 0) + int(process.usedGpuMemory or 0)
    except pynvml.NVMLError:
        return held
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return held


def visible(uuids: Sequence[str], wanted: str | None) -> list[str]:
    """UUIDs that CUDA_VISIBLE_DEVICES leaves, in its order; nothing counts behind a mistake, as for CUDA itself.

    It names GPUs by number or by the beginning of a UUID, and slices of GPUs, which are not among `uuids`, by theirs.
    """
    if wanted is None:
        return list(uuids)
    found: list[str] = []
    for name in (part.strip() for part in wanted.split(",")):
        fitting = [uuid for place, uuid in enumerate(uuids) if name == str(place) or (name and uuid.startswith(name))]
        chosen = name if name.startswith("MIG-") else fitting[0] if len(fitting) == 1 else ""
        if not chosen or chosen in found:
            break
        found.append(chosen)
    return found


def choose_device(found: Sequence[Gpu], need: int) -> str:
    """The GPU with the most free memory, or the CPU where there is none.

    All of them together (`cuda`) where the largest could never hold the needed bytes, but all can.
    """
    if not found:
        return "cpu"
    totals = [gpu.total for gpu in found]
    if max(totals) < need <= sum(totals):
        return "cuda"
    return max(found, key=lambda gpu: gpu.free).device


def torch_cuda_version() -> str | None:
    """The CUDA version that the installed torch was built for, read from its files; None for a CPU build."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return match[1] if match else None


def _gpu(nvml: Any, index: int, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = _text(nvml.nvmlDeviceGetName(handle))
    return Gpu(index, name, free=int(memory.free), total=int(memory.total))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
