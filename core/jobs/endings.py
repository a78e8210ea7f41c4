"""How a scorer ended, in words and for the next attempt: exit codes, signals, errors of the device."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from core.jobs.blame import CRASHED, DEVICE
from core.jobs.claim import Death

EXIT_BAD_RUN = 64
EXIT_TEMPORARY = 75
EXIT_NO_ROOM = 77

# How CUDA and its libraries name their errors. After any of them every later call of the process fails too.
_DEVICE_ERRORS = (
    "CUDA error",
    "CUDA driver error",
    "CUBLAS_STATUS",
    "CUDNN_STATUS",
    "CUDA kernel errors",
    "NCCL error",
)
_MEMORY_ERRORS = ("out of memory", "ALLOC_FAILED")
_LONGEST_CHAIN = 10


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, on a device or on the machine."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def device_error(error: BaseException) -> str:
    """The first line of the device's error that this one is or comes from; empty for others.

    Without memory a device goes on: that is no such error.
    """
    for each in _chain(error):
        text = str(each)
        if any(name in text for name in _MEMORY_ERRORS):
            return ""
        if any(name in text for name in _DEVICE_ERRORS) or type(each).__name__ == "AcceleratorError":
            return text.splitlines()[0][:200] if text else type(each).__name__
    return ""


def death(code: int | None, log: str, *, for_memory: bool, cancelled_for: float | None = None) -> Death:
    """What a scorer died of that ended with this code (negative for a signal); None where nobody knows it.

    `cancelled_for` are the seconds for which it had been asked to end because its run was cancelled.
    """
    if cancelled_for is not None and code in (None, -signal.SIGTERM, -signal.SIGKILL):
        return Death(f"cancelled; the scorer did not stop within {cancelled_for:g} s and was ended")
    return Death(f"{_words(code, for_memory)}, its log: {log}", DEVICE if code == EXIT_TEMPORARY else CRASHED)


def _words(code: int | None, for_memory: bool) -> str:
    if code is None:
        return "the scorer is gone"
    if code == -signal.SIGKILL and for_memory:
        return "the scorer was killed for memory (SIGKILL by the kernel)"
    if code < 0:
        return f"the scorer was ended by {signal.Signals(-code).name}"
    if code == EXIT_TEMPORARY:
        return f"the device failed (the scorer ended with code {code})"
    return f"the scorer ended with code {code}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__
