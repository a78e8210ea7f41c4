"""Where a model goes: the CPU, a GPU, or all GPUs together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from core.errors import RunError
from core.model_memory import working_memory

ALL_GPUS = "cuda"


def resolved_device(wanted: str) -> str:
    """cpu, cuda:N or cuda, which is all GPUs; auto is the GPU with the most free memory.

    Raises RunError where there is no such GPU.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        best = max(range(count), key=lambda number: torch.cuda.mem_get_info(number)[0], default=None)
        return "cpu" if best is None else f"cuda:{best}"
    if wanted == "cpu":
        return wanted
    if not count:
        raise RunError(f"Device {wanted} was asked for, but no GPU is usable here.", "Use --device cpu or auto.")
    number = wanted.partition(":")[2]
    if number and int(number) >= count:
        raise RunError(f"Device {wanted} was asked for, but the last GPU here is cuda:{count - 1}.")
    return wanted


def placement_arguments(folder: Path, device: str, quantization: str, dtype: str) -> dict[str, Any]:
    """What `from_pretrained` needs to put the weights there.

    Of each of several GPUs the weights leave what a forward pass takes: its rows go through all of them.
    """
    if device != ALL_GPUS:
        return {"device_map": {"": device}}
    room = working_memory(str(folder), quantization, dtype, 0, on_gpu=True)
    free = {number: torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())}
    return {"device_map": "auto", "max_memory": {number: max(0, size - room) for number, size in free.items()}}


def refuse_offload(folder: Path, model: Any, device: str) -> None:
    """Raises MemoryError where the library left weights on the disk or the CPU because the GPUs are full."""
    placed = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    if device != "cpu" and placed & {"cpu", "disk"}:
        raise does_not_fit(folder, device)


def does_not_fit(folder: Path, device: str) -> MemoryError:
    where = "all GPUs together" if device == ALL_GPUS else device
    return MemoryError(f"{folder} does not fit into the free memory of {where}.")
