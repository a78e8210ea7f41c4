"""Memory of the device: peaks, and recovering from running out of it."""

from __future__ import annotations

import resource
import sys
from typing import Any

import psutil
import torch


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free_cached_memory(model: Any) -> None:
    """To be called outside the `except` block, whose exception keeps tensors alive."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory_bytes(model: Any) -> int:
    """Highest memory in use so far: the GPU's where the model is on one, else this process's."""
    if model.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(model.device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory_bytes(model: Any) -> int:
    """The smallest free memory among the model's devices."""
    if model.device.type == "cuda":
        return int(torch.cuda.mem_get_info(model.device)[0])
    return int(psutil.virtual_memory().available)
