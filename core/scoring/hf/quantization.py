"""Quantizing weights as they are loaded, and models whose stored weights are quantized already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from core.errors import RunError
from core.scoring.hf.folder import stored_quantization


def quantization_of(folder: Path, config: Any, wanted: str) -> str:
    """none, int8, nf4 or fp4: how bitsandbytes will hold the weights, wanted or stored.

    Raises RunError for stored weights that are quantized in another way than wanted, or in an unknown one.
    """
    stored = stored_quantization(config)
    if stored is None:
        return wanted
    kind = _bitsandbytes_kind(stored)
    method = kind or str(stored.get("quant_method", "without a name"))[:40]
    if not kind and method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        raise RunError(f"The weights of {folder} are quantized in a way that is not known here: {method}.")
    if wanted not in ("none", kind):
        raise RunError(
            f"The weights of {folder} are quantized already: {method}.", "Use --quantization none to take them as such."
        )
    return kind or "none"


def quantization_arguments(config: Any, quantization: str, dtype: str) -> dict[str, Any]:
    """What `from_pretrained` needs to hold the weights so; products of 4-bit weights are computed in `dtype`."""
    stored = stored_quantization(config)
    if stored is not None:
        if _bitsandbytes_kind(stored):
            stored["bnb_4bit_compute_dtype"] = dtype
        return {}
    if quantization == "none":
        return {}
    if quantization == "int8":
        return {"quantization_config": transformers.BitsAndBytesConfig(load_in_8bit=True)}
    four_bits = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=quantization, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": four_bits}


def is_quantized_otherwise(model: Any) -> bool:
    """Whether a loaded model's weights are quantized, but not by bitsandbytes."""
    ours = getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False)
    return getattr(model, "is_quantized", False) and not ours


def _bitsandbytes_kind(stored: dict[str, Any]) -> str:
    if stored.get("load_in_8bit"):
        return "int8"
    return str(stored.get("bnb_4bit_quant_type", "fp4")) if stored.get("load_in_4bit") else ""
