"""Whether a run's model fits into the memory that is free now, without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psutil

from core.domain import RunRequest
from core.errors import RunError
from core.gpu import gpus
from core.host_memory import free_host_memory
from core.model_memory import memory_need, working_memory

HINT = "Use --quantization nf4, a smaller model, or another device."


class NoRoomError(MemoryError):
    """Others use the memory that the model needs."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that a model needs at the very least, and what its device has free and in all."""

    need: int
    free: int
    total: int

    @property
    def is_short(self) -> bool:
        return self.need > self.free

    @property
    def can_never_fit(self) -> bool:
        return self.need > self.total

    def __str__(self) -> str:
        return f"waiting for memory (needs {_gigabytes(self.need)}, free {_gigabytes(self.free)})"


def room_for(request: RunRequest) -> Room | None:
    """The room for a run's model on its device; None where nothing is known about the one or the other.

    The need is that of the weights: forward passes take what is left.
    """
    memory = _memory_of(request)
    if memory is None:
        return None
    on_gpu = request.device != "cpu"
    model = request.path, request.quantization, request.dtype, 0
    try:
        need = memory_need(*model, on_gpu=on_gpu) - working_memory(*model, on_gpu=on_gpu)
    except (OSError, KeyError, ValueError):
        return None
    return Room(need, *memory)


def check_room(request: RunRequest) -> None:
    """To be called right before a model is loaded. Raises NoRoomError for now, RunError for ever."""
    # Which GPUs this process may use its own environment says.
    room = room_for(replace(request, gpus=()))
    if room and room.can_never_fit:
        raise RunError(
            f"{request.model} needs {_gigabytes(room.need)} of memory, {request.device} has {_gigabytes(room.total)}.",
            HINT,
        )
    if room and room.is_short:
        raise NoRoomError(str(room))


def _memory_of(request: RunRequest) -> tuple[int, int] | None:
    """Free and total bytes; swap counts as memory of the machine that is not free."""
    device = request.device
    if device == "cpu":
        return free_host_memory(), psutil.virtual_memory().total + psutil.swap_memory().total
    found = [gpu for gpu in gpus(request.gpus) if device in ("cuda", gpu.device)]
    return (sum(gpu.free for gpu in found), sum(gpu.total for gpu in found)) if found else None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
