"""Finding a target model on this machine and telling it from every other one, without loading it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from core.domain import RunRequest, ScoreSpec, Target, digest
from core.errors import NotFoundError, RunError, SapError, UsageError
from core.model_files import check_adapter_files, check_model_files, read_json

WHOLE_FILE_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20
SAMPLED_BLOCKS = 64
WEIGHT_PATTERNS = ("*.safetensors", "config.json", "generation_config.json")
TOKENIZER_PATTERNS = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt")


def find_target(model: str, *, revision: str = "", adapter: str = "", download: bool = False) -> Target:
    """The target model named by a folder, a GGUF file or a hub id in the local hub cache.

    Raises NotFoundError when it is not on this machine, RunError when the folder holds no safetensors weights or is
    none that may be opened.
    """
    path = _locate(model, revision, download)
    adapter_path = _existing_folder(adapter, "adapter") if adapter else None
    if path.is_dir():
        check_model_files(path)
    if adapter_path is not None:
        check_adapter_files(adapter_path)
    return Target(
        name=_display_name(model, path),
        path=str(path),
        weights_digest=weights_digest(path),
        revision=_resolved_revision(path, revision),
        adapter=str(adapter_path or ""),
        adapter_digest=adapter_digest(adapter_path) if adapter_path else "",
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
    return template_digest(chat_template(path))


def check_unchanged(request: RunRequest, spec: ScoreSpec) -> None:
    """Raises RunError where the files of model, adapter or chat template are no longer those of the spec."""
    adapter = adapter_digest(Path(request.adapter)) if request.adapter else ""
    template = template_digest(request.chat_template) or chat_template_digest(Path(request.path))
    found = weights_digest(Path(request.path)), adapter, template
    if found != (spec.weights_digest, spec.adapter_digest, spec.chat_template_digest):
        raise RunError("The model's files changed since this run was queued.", "Start a new run.")


def check_reward_model_unchanged(request: RunRequest) -> None:
    """Raises RunError where the reward model's files are no longer those that the request was made with."""
    if weights_digest(Path(request.reward_model)) != request.reward_model_digest:
        raise RunError("The reward model's files changed since this run was queued.", "Start a new run.")


def adapter_digest(folder: Path) -> str:
    return _digest_files(folder, ("adapter_*",))


def template_digest(template: str) -> str:
    """Digest of a chat template's text; empty where there is none."""
    return digest("chat template", template).hex() if template else ""


def chat_template(path: Path) -> str:
    if path.is_file():
        return ""
    own_file = path / "chat_template.jinja"
    if own_file.exists():
        return own_file.read_text(encoding="utf-8", errors="surrogateescape")
    value = read_json(path / "tokenizer_config.json").get("chat_template") or ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def lacks_template(target_path: str) -> bool:
    """Whether a model's folder holds no chat template; of a GGUF file that is not known."""
    path = Path(target_path)
    return path.is_dir() and not is_stand_in(target_path) and not chat_template(path)


def stored_dtype(target_path: str) -> str:
    """The half type that the weights are stored in, else bfloat16."""
    path = Path(target_path)
    config = read_json(path / "config.json") if path.is_dir() else {}
    name = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return name if name in ("bfloat16", "float16") else "bfloat16"


def weight_bytes(target_path: str) -> int:
    """Bytes of the weight files."""
    path = Path(target_path)
    files = [path] if path.is_file() else list(path.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)


def is_stand_in(target_path: str) -> bool:
    """Whether the folder is no model but asks for the stand-in engine, which tests of the queue use."""
    path = Path(target_path)
    return path.is_dir() and read_json(path / "config.json").get("model_type") == "sap-tui-stand-in"


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
