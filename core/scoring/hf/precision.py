"""Computing a float16 model in bfloat16, without a second copy of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def can_compute_in_bfloat16(model: Any) -> bool:
    return bool(model.dtype == torch.float16)


@contextmanager
def computing_in_bfloat16(model: Any) -> Iterator[None]:
    """Products take bfloat16 numbers inside this context: their range is float32's."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16):
        yield
