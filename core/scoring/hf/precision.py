"""Computing a float16 model in bfloat16, without a second copy of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from core.scoring.hf.quantization import is_quantized_otherwise


def can_compute_in_bfloat16(model: Any) -> bool:
    """Whether the context below helps: products of other libraries than torch and bitsandbytes stay float16 inside."""
    if model.dtype != torch.float16:
        return False
    if is_quantized_otherwise(model):
        return False
    return model.device.type != "cuda" or torch.cuda.is_bf16_supported()


@contextmanager
def computing_in_bfloat16(model: Any) -> Iterator[None]:
    """Products take bfloat16 numbers inside this context, whose range is float32's; sums between layers are float32.

    A float16 number among them would take the range away again: embeddings go in as float32, and norms and biases,
    which are small, are float32 meanwhile. 8-bit products get float32 numbers: they split large ones off themselves.
    """
    with ExitStack() as stack:
        widen = model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.float())
        stack.callback(widen.remove)
        for vector in [parameter for parameter in model.parameters() if _is_half_vector(parameter)]:
            stack.callback(setattr, vector, "data", vector.data)
            with torch.inference_mode(False):
                vector.data = vector.data.float()
        for layer in _four_bit_layers(model):
            stack.callback(setattr, layer, "compute_dtype", layer.compute_dtype)
            layer.compute_dtype = torch.bfloat16
        stack.enter_context(torch.autocast(model.device.type, dtype=torch.bfloat16))
        yield


def _is_half_vector(parameter: torch.Tensor) -> bool:
    return parameter.dim() < 2 and parameter.dtype == torch.float16


def _four_bit_layers(model: Any) -> list[Any]:
    if not getattr(model, "is_loaded_in_4bit", False):
        return []
    import bitsandbytes

    return [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
