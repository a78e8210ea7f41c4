"""Finding a target model on this machine and telling it from every other one, without loading it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from core.domain import Target, digest
from core.errors import NotFoundError, RunError, SapError, UsageError
from core.safetensors_headers import StoredTensor, stored_tensors

WHOLE_FILE_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20
SAMPLED_BLOCKS = 64
WEIGHT_PATTERNS = ("*.safetensors", "config.json", "generation_config.json")
TOKENIZER_PATTERNS = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt")
# Measured: a process with torch and transformers. CUDA's own memory on a GPU is about as large.
LIBRARY_BYTES = 384 << 20
_FLOATS = {"F64", "F32", "F16", "BF16"}
_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes a weight, with the scale of each block of 64 in four bits.
_QUANTIZED_WIDTHS = {"int8": 1.0, "nf4": 0.5625, "fp4": 0.5625}
_NEVER_QUANTIZED = ("embed", "lm_head", "wte", "wpe")
_PASS_TOKENS = 8192
_CPU_PASS_OPERATIONS = 1e12


def find_target(model: str, *, revision: str = "", adapter: str = "", download: bool = False) -> Target:
    """The target model named by a folder, a GGUF file or a hub id in the local hub cache.

    Raises NotFoundError when it is not on this machine, RunError when the folder holds no safetensors weights.
    """
    path = _locate(model, revision, download)
    adapter_path = _existing_folder(adapter, "adapter") if adapter else None
    return Target(
        name=_display_name(model, path),
        path=str(path),
        weights_digest=weights_digest(path),
        revision=_resolved_revision(path, revision),
        adapter=str(adapter_path or ""),
        adapter_digest=_digest_files(adapter_path, ("adapter_*",)) if adapter_path else "",
        chat_template_digest=chat_template_digest(path),
    )


def weights_digest(path: Path) -> str:
    """Digest of weights, configuration and tokenizer, hexadecimal.

    Files up to 64 MiB count wholly; of larger ones the size and 64 blocks of 1 MiB, evenly from head to end.
    """
    if path.is_file():
        return digest("gguf", _file_digest(path)).hex()
    if not any(path.glob("*.safetensors")):
        raise RunError(*_missing_weights(path))
    return _digest_files(path, (*WEIGHT_PATTERNS, *TOKENIZER_PATTERNS))


def chat_template_digest(path: Path) -> str:
    """Digest of the folder's chat template; empty where there is none (a GGUF file's belongs to its weights digest)."""
    template = chat_template(path)
    return digest("chat template", template).hex() if template else ""


def chat_template(path: Path) -> str:
    if path.is_file():
        return ""
    own_file = path / "chat_template.jinja"
    if own_file.exists():
        return own_file.read_text(encoding="utf-8", errors="surrogateescape")
    value = _read_json(path / "tokenizer_config.json").get("chat_template") or ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def stored_dtype(target_path: str) -> str:
    """The half type that the weights are stored in, else bfloat16."""
    path = Path(target_path)
    config = _read_json(path / "config.json") if path.is_dir() else {}
    name = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return name if name in ("bfloat16", "float16") else "bfloat16"


def weight_bytes(target_path: str) -> int:
    """Bytes of the weight files."""
    path = Path(target_path)
    files = [path] if path.is_file() else list(path.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)


def memory_need(target_path: str, quantization: str, dtype: str, longest_tokens: int, *, on_gpu: bool = False) -> int:
    """Estimate of the peak memory for scoring, bytes: libraries, weights, and what a forward pass takes.

    On a CPU the weight files count too while they are converted, or as long as parts of them are used as they are.
    """
    stored, loaded = _stored_and_loaded_bytes(Path(target_path), quantization, dtype)
    working = working_memory(target_path, dtype, longest_tokens, on_gpu=on_gpu)
    if not on_gpu and quantization != "none":
        return LIBRARY_BYTES + loaded + stored + working
    converted = 0 if on_gpu or loaded == stored else stored
    return LIBRARY_BYTES + loaded + max(working, converted)


def working_memory(target_path: str, dtype: str, longest_tokens: int, *, on_gpu: bool = False) -> int:
    """Estimate of what a forward pass takes beside the weights, bytes: hidden rows, a cache and chunks of logits.

    0 without a configuration beside the weights (a GGUF file).
    """
    path = Path(target_path)
    sizes = _decoder_sizes(path)
    if not sizes["hidden"]:
        return 0
    width, hidden = _WIDTHS[dtype], sizes["hidden"]
    cache = 2 * sizes["layers"] * sizes["heads"] * sizes["head"] * width * longest_tokens
    tokens = max(longest_tokens, _pass_tokens(path, on_gpu))
    rows = (8 * hidden + 3 * sizes["inner"]) * width * tokens
    logits = 3 * (256 << 20 if on_gpu else 32 << 20)
    # On a CPU the head of a half type is widened for every chunk.
    head = 0 if on_gpu or width == 4 else 4 * sizes["vocabulary"] * hidden
    return cache + rows + logits + head


def is_stand_in(target_path: str) -> bool:
    """Whether the folder is no model but asks for the stand-in engine, which tests of the queue use."""
    path = Path(target_path)
    return path.is_dir() and _read_json(path / "config.json").get("model_type") == "sap-tui-stand-in"


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
    return _PASS_TOKENS if on_gpu else min(_PASS_TOKENS, int(_CPU_PASS_OPERATIONS / (2 * max(1, parameters))))


def _decoder_sizes(path: Path) -> dict[str, int]:
    """Sizes of the text decoder by the names used here; 0 where the configuration does not say."""
    config = _read_json(path / "config.json") if path.is_dir() else {}
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


def _locate(model: str, revision: str, download: bool) -> Path:
    path = Path(model).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.is_file():
        if path.suffix.lower() == ".gguf":
            return path.resolve()
        raise UsageError(f"{model} is a file but no GGUF file.", "Name the model's folder, a .gguf file or a hub id.")
    if model.startswith(("/", ".", "~")) or model.count("/") != 1 or path.suffix.lower() == ".gguf":
        raise NotFoundError(
            f"Model folder not found: {model}.", "Name a folder, a .gguf file or a hub id like owner/name."
        )
    return _from_hub_cache(model, revision, download)


def _from_hub_cache(model: str, revision: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        found = snapshot_download(
            model, revision=revision or None, local_files_only=not download, allow_patterns=patterns
        )
    except HFValidationError as error:
        raise NotFoundError(f"{model} is neither a folder nor a hub id.", "Name a folder or owner/name.") from error
    except LocalEntryNotFoundError as error:
        if download:
            raise SapError(
                f"{model} could not be fetched: the hub cannot be reached.", "Try again when online."
            ) from error
        raise NotFoundError(
            f"{model} is not in the local hub cache.", "Fetch it with --download, or name a model folder."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SapError(
            f"{model} could not be fetched: {type(error).__name__}.", "Check the name, the network and HF_TOKEN."
        ) from error
    return Path(found)


def _display_name(model: str, path: Path) -> str:
    is_hub_id = not Path(model).expanduser().exists()
    return model if is_hub_id else path.stem if path.is_file() else path.name


def _resolved_revision(path: Path, revision: str) -> str:
    # The hub cache names a snapshot's folder after its commit.
    return path.name if path.parent.name == "snapshots" else revision


def _existing_folder(name: str, what: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir():
        raise NotFoundError(f"There is no {what} folder {name}.", "Check the path.")
    return path.resolve()


def _missing_weights(path: Path) -> tuple[str, str]:
    if any(path.glob("*.bin")) or any(path.glob("*.pt")):
        return (
            f"{path} holds only pickle weights (.bin), which can run code when loaded.",
            "Convert them to safetensors: load the model in transformers and call save_pretrained(folder).",
        )
    ggufs = sorted(path.glob("*.gguf"))
    hint = f"Name the file itself: {ggufs[0]}" if ggufs else "Is it a model folder?"
    return f"{path} holds no safetensors weights.", hint


def _digest_files(folder: Path, patterns: Iterable[str]) -> str:
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return digest(*(part for file in files for part in (file.name, _file_digest(file)))).hex()


def _file_digest(file: Path) -> bytes:
    size = file.stat().st_size
    if size <= WHOLE_FILE_BYTES:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).digest()
    state = hashlib.blake2b(str(size).encode(), digest_size=16)
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for number in range(SAMPLED_BLOCKS):
            state.update(os.pread(descriptor, BLOCK_BYTES, number * (size - BLOCK_BYTES) // (SAMPLED_BLOCKS - 1)))
    finally:
        os.close(descriptor)
    return state.digest()


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
