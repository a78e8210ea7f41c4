"""Load a target model from a local folder, or say in one line why it cannot be scored."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from core.errors import RunError
from core.model_files import check_adapter_files
from core.scoring.hf.encode import ChatEncoder, chat_template_of
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.folder import check_config, check_folder, wants_own_code
from core.scoring.hf.gguf import converted_folder
from core.scoring.hf.loaded import refuse_incomplete, refuse_misshapen, refuse_two_way, refuse_unused, shortened
from core.scoring.hf.memory import is_out_of_memory, returning_freed_memory
from core.scoring.hf.placement import does_not_fit, placement_arguments, refuse_offload, resolved_device
from core.scoring.hf.quantization import quantization_arguments, quantization_of
from core.scoring.protocol import EngineSettings
from core.scoring.template_trial import try_template

_UNBOUNDED = 1 << 30
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_engine(settings: EngineSettings, on_phase: Callable[[str], None] | None = None) -> HuggingFaceEngine:
    """A ready engine; `on_phase` hears what is being done.

    Raises RunError where the model can never be scored, MemoryError where it does not fit into the GPUs now.
    """
    tell = on_phase or (lambda phase: None)
    quiet()
    folder = _folder(Path(settings.path), tell)
    settings = replace(settings, device=resolved_device(settings.device))
    tell("loading tokenizer")
    config = load_config(folder)
    settings = replace(settings, quantization=quantization_of(folder, config, settings.quantization))
    tokenizer, encoder = load_tokenizer(folder, config, settings)
    tell("loading weights")
    model = load_weights(folder, config, settings)
    if settings.adapter:
        tell("loading adapter")
        _load_adapter(model, Path(settings.adapter))
    model.eval().requires_grad_(False)
    tell("checking the engine")
    engine = HuggingFaceEngine(model, tokenizer, encoder, settings)
    refuse_two_way(folder, model, settings.quantization, encoder.max_context_tokens)
    return engine


def load_encoder(settings: EngineSettings) -> ChatEncoder:
    """The tokenizer side of a target model, without its weights. Raises RunError as `load_engine` does."""
    quiet()
    folder = _folder(Path(settings.path), lambda phase: None)
    return load_tokenizer(folder, load_config(folder), settings)[1]


def _folder(path: Path, tell: Callable[[str], None]) -> Path:
    """The safetensors folder that a path stands for."""
    if path.is_file() and path.suffix.lower() == ".gguf":
        from core.settings import models_folder

        tell("converting the GGUF file")
        return converted_folder(path, models_folder())
    check_folder(path)
    return path


def load_config(folder: Path) -> Any:
    """The configuration of a checked folder. Raises RunError as `load_engine` does."""
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **_LOCAL)
    except Exception as error:
        raise _why_not_loaded(folder, error) from error
    check_config(folder, config)
    return config


def load_tokenizer(folder: Path, config: Any, settings: EngineSettings) -> tuple[Any, ChatEncoder]:
    """The tokenizer, plain and as an encoder. Raises RunError as `load_engine` does."""
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except Exception as error:
        raise _why_not_loaded(folder, error, "The tokenizer of ") from error
    if settings.chat_template:
        tokenizer.chat_template = settings.chat_template
    template = chat_template_of(tokenizer)
    if template is not None:
        specials = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
        try_template(template, specials | dict(settings.template_options))
    limit = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return tokenizer, ChatEncoder(tokenizer, settings, int(limit or _UNBOUNDED))


def quiet() -> None:
    """Libraries log a line per layer and draw bars: keep errors only."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("bitsandbytes", "accelerate", "peft", "kernels"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="(bitsandbytes|peft|transformers)")


def load_weights(
    folder: Path, config: Any, settings: EngineSettings, kind: Any = transformers.AutoModelForCausalLM
) -> Any:
    """A model of this kind, all of whose weights are the folder's. Raises RunError, MemoryError as `load_engine`."""
    is_quantized_here = settings.quantization != "none" and settings.device == "cpu"
    try:
        with returning_freed_memory() if is_quantized_here else nullcontext():
            model, info = kind.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, settings.dtype),
                use_safetensors=True,
                output_loading_info=True,
                # They are refused below, by their names.
                ignore_mismatched_sizes=True,
                **_LOCAL,
                **quantization_arguments(config, settings.quantization, settings.dtype),
                **placement_arguments(folder, settings.device, settings.quantization, settings.dtype),
            )
    except Exception as error:
        # The second is how bitsandbytes' loader says that the GPUs are full.
        if is_out_of_memory(error) or "dispatched on the CPU or the disk" in str(error):
            raise does_not_fit(folder, settings.device) from error
        raise _why_not_loaded(folder, error) from error
    refuse_offload(folder, model, settings.device)
    refuse_incomplete(folder, info)
    refuse_unused(folder, model, info.get("unexpected_keys") or ())
    refuse_misshapen(folder, model)
    return model


def _load_adapter(model: Any, folder: Path) -> None:
    check_adapter_files(folder)
    try:
        info = model.load_adapter(str(folder))
    except Exception as error:
        if is_out_of_memory(error):
            raise does_not_fit(folder, str(model.device)) from error
        raise RunError(f"The adapter {folder} does not load: {_first_line(error)}") from error
    keys = ("missing_keys", "mismatched_keys", "error_msgs")
    refuse_incomplete(folder, {key: getattr(info, key, None) for key in keys})
    if getattr(info, "unexpected_keys", None):
        raise RunError(f"The adapter {folder} does not belong to this model: {shortened(sorted(info.unexpected_keys))}")


def _why_not_loaded(folder: Path, error: Exception, what: str = "") -> RunError:
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return wants_own_code(folder)
    if "Unrecognized configuration class" in text:
        return RunError(f"{folder} is no causal language model: it is of another kind.")
    if isinstance(error, SafetensorError) or "safetensor" in text.lower():
        return RunError(f"The weights of {folder} are damaged: {_first_line(error)}")
    return RunError(f"{what}{folder} does not load: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(":")[:300] if lines else ""
    return f"{type(error).__name__} {first}".strip() if isinstance(error, LookupError) or not first else first
