"""GGUF files as targets: dequantized once into a safetensors folder, which is kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
import transformers

from core.domain import digest
from core.errors import RunError

_CONVERSION_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, IndexError)


def converted_folder(file: Path, cache: Path) -> Path:
    """The safetensors folder (bfloat16 weights) of a GGUF file below `cache`, made now if it is not there.

    It appears under its name only when it is complete. Raises RunError for a file that does not convert.
    """
    folder = cache / _folder_name(file)
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=cache))
    try:
        _convert(file, scratch)
        os.rename(scratch, folder)
    except _CONVERSION_ERRORS as error:
        if not folder.is_dir():
            lines = str(error).splitlines() or [type(error).__name__]
            raise RunError(f"{file} does not convert: {lines[0]}", "Is it a complete GGUF file?") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _folder_name(file: Path) -> str:
    """From where the file is, its size and its last change, so that a changed file is converted again."""
    found = file.stat()
    return digest("gguf", str(file.resolve()), str(found.st_size), str(found.st_mtime_ns)).hex()


def _convert(file: Path, target: Path) -> None:
    source = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, **source)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent,
        dtype=torch.bfloat16,
        quantization_config=transformers.GgufConfig(dequantize=True),
        **source,
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
