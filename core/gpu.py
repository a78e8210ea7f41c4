"""The GPUs of this machine and their free memory, without importing torch."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

# A driver that nobody keeps awake takes seconds, many GPUs more of them.
DRIVER_SECONDS = 10.0

Value = TypeVar("Value")
_asking: threading.Thread | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in bytes. `index` counts the GPUs that a process may use, as torch does."""

    index: int
    name: str
    free: int
    total: int
    uuid: str = ""

    @property
    def device(self) -> str:
        return f"cuda:{self.index}"


def gpus(uuids: Sequence[str] = ()) -> list[Gpu]:
    """The GPUs that this process may use, or those with these UUIDs where all of them are here.

    Empty without a driver, where it does not answer, and where torch was built without CUDA.
    """
    return _answer(lambda: _gpus(uuids), [])


def driver_answers() -> bool:
    """Whether the driver answered when it was asked last; it is not asked again before it has."""
    return _asking is None or not _asking.is_alive()


def environment_for(uuids: Sequence[str]) -> dict[str, str]:
    """Variables with which a new process uses just these GPUs, in this order; none where they are not all here."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(uuids)} if [gpu.uuid for gpu in gpus(uuids)] == list(uuids) else {}


def _gpus(uuids: Sequence[str]) -> list[Gpu]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        with suppress(pynvml.NVMLError):
            if uuids:
                return _with_uuids(pynvml, uuids)
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        known = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        return _with_uuids(pynvml, visible(known, os.environ.get("CUDA_VISIBLE_DEVICES")))
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def memory_of_processes() -> dict[int, int]:
    """Bytes of GPU memory by process id, as far as the driver tells; empty without one."""
    return _answer(_memory_of_processes, {})


def _memory_of_processes() -> dict[int, int]:
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


def _answer(ask: Callable[[], Value], otherwise: Value) -> Value:
    """What a thread of its own gets out of the driver, which may hang for ever and nobody can stop then."""
    global _asking
    if torch_cuda_version() is None or not driver_answers():
        return otherwise
    answer: Future[Value] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    thread = threading.Thread(target=work, name="NVIDIA driver", daemon=True)
    thread.start()
    try:
        return answer.result(DRIVER_SECONDS)
    except TimeoutError:
        _asking = thread
        return otherwise


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
    """The CUDA version that the installed torch was built for, read from its files; None for another build."""
    return _torch_built_for("cuda")


def is_missing(device: str) -> bool:
    """Whether it is certain that torch finds no such device here."""
    if not device.startswith("cuda"):
        return False
    if torch_cuda_version() is None:
        return _torch_built_for("hip") is None
    found, number = gpus(), device.partition(":")[2]
    return bool(found and number) and int(number) >= len(found)


def _torch_built_for(platform: str) -> str | None:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(rf"^{platform}\b[^=\n]*=\s*['\"]([\d.]+)", text, re.MULTILINE)
    return match[1] if match else None


def _with_uuids(nvml: Any, uuids: Sequence[str]) -> list[Gpu]:
    return [_gpu(nvml, index, uuid, nvml.nvmlDeviceGetHandleByUUID(uuid)) for index, uuid in enumerate(uuids)]


def _gpu(nvml: Any, index: int, uuid: str, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = _text(nvml.nvmlDeviceGetName(handle))
    return Gpu(index, name, free=int(memory.free), total=int(memory.total), uuid=uuid)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
