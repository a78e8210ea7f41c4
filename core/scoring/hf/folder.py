"""What is wrong with a model's folder, said in one line before anything of it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import RunError
from core.model_files import check_model_files, own_code
from core.safetensors_headers import stored_tensors

_REAL = {"F64", "F32", "F16", "BF16"}


def check_folder(folder: Path) -> None:
    """Raises RunError for a folder that holds no complete model, or more than one thing."""
    if not folder.is_dir():
        raise RunError(f"Model folder not found: {folder}", "Choose a folder with config.json and safetensors weights.")
    check_model_files(folder)
    if (folder / "adapter_config.json").is_file():
        # The library would load the adapter too, and then not tell which of the model's own weights are missing.
        raise RunError(
            f"{folder} holds an adapter.",
            "Keep it in a folder of its own and name that with --adapter, and the model's folder with --model.",
        )
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


def check_config(folder: Path, config: Any) -> None:
    """Raises RunError where the configuration would have code fetched, or leaves open what the weights mean."""
    text = config.get_text_config(decoder=True)
    for part in (config, text):
        for name in ("_attn_implementation", "_experts_implementation"):
            if "/" in str(getattr(part, name, None)):
                raise wants_own_code(folder)
    if stored_quantization(config) is None:
        _refuse_unexplained_numbers(folder)


def stored_quantization(config: Any) -> dict[str, Any] | None:
    """What the configuration says about how the stored weights are quantized."""
    found = getattr(config, "quantization_config", None)
    return found or getattr(config.get_text_config(decoder=True), "quantization_config", None)


def wants_own_code(folder: Path) -> RunError:
    code = own_code(folder)
    return RunError(f"{folder} wants to run code of its own{f' ({code})' if code else ''}, which is not allowed here.")


def _refuse_unexplained_numbers(folder: Path) -> None:
    """Quantized weights without a word about how would be taken for plain numbers."""
    for tensor in stored_tensors(folder):
        if tensor.name.endswith(".weight") and len(tensor.shape) > 1 and tensor.dtype not in _REAL:
            raise RunError(
                f"The weights of {folder} are stored as {tensor.dtype}, but its config.json has no "
                f"quantization_config: {tensor.name}."
            )
