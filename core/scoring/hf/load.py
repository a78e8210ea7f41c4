"""Load a target model from a local folder, or say in one line why it cannot be scored."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from core.errors import RunError
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.gguf import converted_folder
from core.scoring.protocol import EngineSettings

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_UNBOUNDED = 1 << 30
_LOAD_ERRORS = (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError)


def load_engine(settings: EngineSettings, on_phase: Callable[[str], None] | None = None) -> HuggingFaceEngine:
    """A ready engine; `on_phase` hears what is being done.

    Raises RunError where the model can never be scored, MemoryError where it does not fit into the GPU now.
    """
    tell = on_phase or (lambda phase: None)
    _quiet()
    folder = _folder(Path(settings.path), tell)
    device = _device(settings.device)
    tell("loading tokenizer")
    tokenizer, encoder = _load_encoder(folder, settings)
    tell("loading weights")
    model = _load_model(folder, settings, device)
    if settings.adapter:
        tell("loading adapter")
        _load_adapter(model, Path(settings.adapter))
    model.eval().requires_grad_(False)
    tell("checking the engine")
    return HuggingFaceEngine(model, tokenizer, encoder, settings)


def load_encoder(settings: EngineSettings) -> ChatEncoder:
    """The tokenizer side of a target model, without its weights. Raises RunError as `load_engine` does."""
    _quiet()
    return _load_encoder(_folder(Path(settings.path), lambda phase: None), settings)[1]


def _folder(path: Path, tell: Callable[[str], None]) -> Path:
    """The safetensors folder that a path stands for."""
    if path.is_file() and path.suffix.lower() == ".gguf":
        from core.settings import models_folder

        tell("converting the GGUF file")
        return converted_folder(path, models_folder())
    _check_folder(path)
    return path


def _load_encoder(folder: Path, settings: EngineSettings) -> tuple[Any, ChatEncoder]:
    arguments = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **arguments)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **arguments)
    except _LOAD_ERRORS as error:
        raise RunError(_why_not_loaded(folder, error)) from error
    limit = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return tokenizer, ChatEncoder(tokenizer, settings, int(limit or _UNBOUNDED))


def _quiet() -> None:
    """Libraries log a line per layer and draw bars: keep errors only."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("bitsandbytes", "accelerate", "peft", "kernels"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="(bitsandbytes|peft|transformers)")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise RunError(f"Model folder not found: {folder}", "Choose a folder with config.json and safetensors weights.")
    if not (folder / "config.json").is_file():
        raise RunError(f"{folder} has no config.json.", "Choose the folder that the model was saved to.")
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise RunError(
            f"{folder} holds pickled weights only, which are not opened.",
            "Save the model again with save_pretrained, which writes safetensors.",
        )
    raise RunError(f"{folder} holds no safetensors weights.", "Choose the folder that the model was saved to.")


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RunError(f"Device {wanted} was asked for, but no GPU is usable here.", "Use --device cpu or auto.")
    return wanted


def _load_model(folder: Path, settings: EngineSettings, device: str) -> Any:
    arguments: dict[str, Any] = {}
    if settings.quantization != "none":
        arguments["quantization_config"] = _quantization(settings)
    if settings.quantization != "none" or device != "cpu":
        arguments["device_map"] = {"": device}
    try:
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=_DTYPES[settings.dtype],
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **arguments,
        )
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"{folder} does not fit into the free memory of {device}.") from error
    except _LOAD_ERRORS as error:
        raise RunError(_why_not_loaded(folder, error)) from error
    _refuse_incomplete(folder, info)
    return model


def _quantization(settings: EngineSettings) -> Any:
    if settings.quantization == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=settings.quantization,
        bnb_4bit_compute_dtype=_DTYPES[settings.dtype],
    )


def _refuse_incomplete(source: Path, info: Any) -> None:
    """Keys without weights would be filled with random numbers."""
    for problem in ("missing_keys", "mismatched_keys", "error_msgs"):
        found = sorted(map(str, info.get(problem) or ()))
        if found:
            words = problem.replace("_", " ").replace("msgs", "messages")
            raise RunError(f"The weights of {source} are incomplete, {words}: {_shortened(found)}")


def _load_adapter(model: Any, folder: Path) -> None:
    if not (folder / "adapter_config.json").is_file():
        raise RunError(f"{folder} is no adapter: it has no adapter_config.json.")
    if not (folder / "adapter_model.safetensors").is_file():
        raise RunError(f"The adapter {folder} has no adapter_model.safetensors.", "Pickled weights are not opened.")
    try:
        info = model.load_adapter(str(folder))
    except _LOAD_ERRORS as error:
        raise RunError(f"The adapter {folder} does not load: {_first_line(error)}") from error
    keys = ("missing_keys", "mismatched_keys", "error_msgs")
    _refuse_incomplete(folder, {key: getattr(info, key, None) for key in keys})
    if getattr(info, "unexpected_keys", None):
        raise RunError(
            f"The adapter {folder} does not belong to this model: {_shortened(sorted(info.unexpected_keys))}"
        )


def _why_not_loaded(folder: Path, error: BaseException) -> str:
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return f"{folder} wants to run code of its own, which is not allowed here."
    if isinstance(error, SafetensorError) or "safetensor" in text.lower():
        return f"The weights of {folder} are damaged: {_first_line(error)}"
    return f"{folder} does not load: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
