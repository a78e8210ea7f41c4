"""The GPUs of this machine and their free memory, without importing torch."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in bytes."""

    index: int
    name: str
    free: int
    total: int

    @property
    def device(self) -> str:
        return f"cuda:{self.index}"


def gpus() -> list[Gpu]:
    """The GPUs that the driver shows; empty without a driver, or where torch was built without CUDA."""
    if torch_cuda_version() is None:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def best_device() -> str:
    """The GPU with the most free memory, else the CPU."""
    found = gpus()
    return max(found, key=lambda gpu: gpu.free).device if found else "cpu"


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


def _gpu(nvml, index: int) -> Gpu:  # type: ignore[no-untyped-def]
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    return Gpu(
        index=index,
        name=name.decode() if isinstance(name, bytes) else name,
        free=int(memory.free),
        total=int(memory.total),
    )
