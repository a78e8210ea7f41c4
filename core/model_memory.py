"""How much memory scoring under a target model takes, from the headers of its weights and its configuration."""

from __future__ import annotations

from pathlib import Path

from core.model_files import read_json
from core.models import weight_bytes
from core.safetensors_headers import StoredTensor, stored_tensors

# Measured: a process with torch and transformers. CUDA's own memory on a GPU is about as large.
LIBRARY_BYTES = 384 << 20
_FLOATS = {"F64", "F32", "F16", "BF16"}
_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes a weight, with the scale of each block of 64 in four bits.
_QUANTIZED_WIDTHS = {"int8": 1.0, "nf4": 0.5625, "fp4": 0.5625}
_NEVER_QUANTIZED = ("embed", "lm_head", "wte", "wpe")
# Matrix products gain nothing from more rows than this (a GPU computes at full speed from a few hundred on).
PASS_TOKENS = 8192
# On a CPU a forward pass of this many operations takes some seconds: work is lost and stopping waits no longer.
CPU_PASS_OPERATIONS = 1e12
# Measured on a CPU: bytes of each number of a row where products are in 8 bits, and how many arrays of the size of a
# chunk of logits there are. On a GPU, not measured, as many as the code makes.
_INT8_ROW_WIDTH = 24
_LOGIT_ARRAYS_ON_CPU, _LOGIT_ARRAYS_ON_GPU = 9, 3
_LOGIT_ROWS = 2048


def memory_need(target_path: str, quantization: str, dtype: str, longest_tokens: int, *, on_gpu: bool = False) -> int:
    """Estimate of the peak memory for scoring, bytes: libraries, weights, and what a forward pass takes.

    On a CPU the weight files count too while they are converted, or as long as parts of them are used as they are.
    """
    stored, loaded = _stored_and_loaded_bytes(Path(target_path), quantization, dtype)
    working = working_memory(target_path, quantization, dtype, longest_tokens, on_gpu=on_gpu)
    if not on_gpu and quantization != "none":
        return LIBRARY_BYTES + loaded + stored + working
    converted = 0 if on_gpu or loaded == stored else stored
    return LIBRARY_BYTES + loaded + max(working, converted)


def working_memory(
    target_path: str, quantization: str, dtype: str, longest_tokens: int, *, on_gpu: bool = False
) -> int:
    """Estimate of what a forward pass takes beside the weights, bytes: a cache, and rows or chunks of logits.

    0 without a configuration beside the weights (a GGUF file).
    """
    sizes = _decoder_sizes(Path(target_path))
    if not sizes["hidden"]:
        return 0
    width = _WIDTHS[dtype]
    cache = 2 * sizes["layers"] * sizes["heads"] * sizes["head"] * width * longest_tokens
    row = 8 * sizes["hidden"] + 3 * sizes["inner"]
    if quantization == "int8":
        rows = _INT8_ROW_WIDTH * row * longest_tokens
    else:
        tokens = max(longest_tokens, _pass_tokens(Path(target_path), on_gpu))
        rows = (width if on_gpu else 4) * row * tokens
    logit_bytes = 4 * sizes["vocabulary"]
    if on_gpu:
        return cache + max(rows, _LOGIT_ARRAYS_ON_GPU * min(256 << 20, _LOGIT_ROWS * logit_bytes))
    # The head of a half type is widened for every chunk.
    head = 0 if width == 4 else logit_bytes * sizes["hidden"]
    return cache + max(rows, _LOGIT_ARRAYS_ON_CPU * min(32 << 20, _LOGIT_ROWS * logit_bytes) + head)


def _stored_and_loaded_bytes(path: Path, quantization: str, dtype: str) -> tuple[int, int]:
    """Bytes of the weights in the files and in memory, the latter as if they were the same where nothing is known."""
    tensors = stored_tensors(path) if path.is_dir() else []
    if not tensors:
        return (weight_bytes(str(path)),) * 2
    loaded = sum(_loaded_width(tensor, quantization, dtype) * tensor.count for tensor in tensors)
    return sum(tensor.size for tensor in tensors), int(loaded)


def _loaded_width(tensor: StoredTensor, quantization: str, dtype: str) -> float:
    """Bytes of each number; embeddings, the head and vectors stay as they are when the rest is quantized."""
    if tensor.dtype not in _FLOATS:
        return tensor.size / max(1, tensor.count)
    is_converted = len(tensor.shape) == 2 and not any(part in tensor.name for part in _NEVER_QUANTIZED)
    return _QUANTIZED_WIDTHS.get(quantization, _WIDTHS[dtype]) if is_converted else _WIDTHS[dtype]


def _pass_tokens(path: Path, on_gpu: bool) -> int:
    """Tokens that a forward pass may have: a CPU gets fewer of a large model, so that a pass takes seconds."""
    parameters = sum(tensor.count for tensor in stored_tensors(path))
    return PASS_TOKENS if on_gpu else min(PASS_TOKENS, int(CPU_PASS_OPERATIONS / (2 * max(1, parameters))))


def _decoder_sizes(path: Path) -> dict[str, int]:
    """Sizes of the text decoder by the names used here; 0 where the configuration does not say."""
    config = read_json(path / "config.json") if path.is_dir() else {}
    inner = config.get("text_config")
    values = {**config, **(inner if isinstance(inner, dict) else {})}

    def size(*names: str) -> int:
        found = (values.get(name) for name in names)
        return next((value for value in found if isinstance(value, int) and value > 0), 0)

    hidden, heads = size("hidden_size", "n_embd", "d_model"), size("num_attention_heads", "n_head")
    return {
        "hidden": hidden,
        "layers": size("num_hidden_layers", "n_layer"),
        "heads": size("num_key_value_heads") or heads,
        "head": size("head_dim") or hidden // max(1, heads),
        "inner": size("intermediate_size", "n_inner") or 4 * hidden,
        "vocabulary": size("vocab_size"),
    }
