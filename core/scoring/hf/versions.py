"""Names and versions of the libraries that make the numbers."""

from __future__ import annotations

import platform
from typing import Any

import torch
import transformers

from core.scoring.hf.memory import devices_of


def library_versions(model: Any) -> dict[str, str]:
    """Of Python, torch and transformers, and the GPUs that the model is on."""
    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if model.device.type == "cuda":
        found["gpu"] = ", ".join(map(torch.cuda.get_device_name, devices_of(model)))
    return found
