"""Whether a model's folder is one: regular files of its own, none of them a way out of it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import RunError

LARGEST_TEXT_FILE = 256 << 20
_READ = re.compile(r".*\.(safetensors|json|jinja|model|txt)|(pytorch_model|adapter_model).*\.bin", re.IGNORECASE)
_MIND = "Copy the files into one folder, or name the folder that they lie in."


def check_model_files(folder: Path) -> None:
    """Raises RunError for a link that leads out of the folder, a pipe or a device, or an index that names other places.

    Links of a hub cache's snapshot to that cache's own blobs are its way of keeping files.
    """
    for file in _files_to_read(folder):
        _check_file(folder, file)
    for index in folder.glob("*.index.json"):
        _check_index(index)


def check_adapter_files(folder: Path) -> None:
    """Raises RunError where the folder holds no adapter, or one that is not to be opened."""
    if not (folder / "adapter_config.json").is_file():
        raise RunError(f"{folder} is no adapter: it has no adapter_config.json.")
    check_model_files(folder)
    if not (folder / "adapter_model.safetensors").is_file():
        raise RunError(f"The adapter {folder} has no adapter_model.safetensors.", "Pickled weights are not opened.")


def own_code(folder: Path) -> str:
    """The first file of code that the configurations ask for, with its length; empty where they ask for none."""
    for name in ("config.json", "tokenizer_config.json", "adapter_config.json", "generation_config.json"):
        for module in _modules(read_json(folder / name).get("auto_map")):
            file = folder / f"{module}.py"
            if file.is_file():
                with file.open("rb") as stream:
                    return f"{file.name}, {sum(1 for _ in stream):,} lines"
            return f"{module}.py"
    return ""


def read_json(path: Path) -> dict[str, object]:
    """A file's JSON object; empty where it cannot be read or is something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _files_to_read(folder: Path) -> Iterator[Path]:
    return (entry for entry in sorted(folder.iterdir()) if _READ.fullmatch(entry.name))


def _check_file(folder: Path, file: Path) -> None:
    try:
        found = file.stat()
        target = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise RunError(f"{file} cannot be read: {getattr(error, 'strerror', '') or error}.", _MIND) from error
    if file.is_symlink() and not _is_inside(folder.resolve(), target):
        raise RunError(f"{file} is a link out of the model's folder.", _MIND)
    if stat.S_ISDIR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise RunError(f"{file} is no regular file.", _MIND)
    if file.suffix.lower() != ".safetensors" and file.suffix.lower() != ".bin" and found.st_size > LARGEST_TEXT_FILE:
        raise RunError(f"{file} is over {LARGEST_TEXT_FILE >> 20} MiB.", "Is it what its name says?")


def _is_inside(folder: Path, target: Path) -> bool:
    blobs = target.parent
    return target.is_relative_to(folder) or (blobs.name == "blobs" and blobs.parent.name.startswith("models--"))


def _check_index(index: Path) -> None:
    places = read_json(index).get("weight_map")
    for name in places.values() if isinstance(places, dict) else ():
        if not isinstance(name, str) or name != Path(name).name or "\\" in name:
            raise RunError(f"{index} names a place outside its folder: {str(name)[:80]!r}.", "Do not use this model.")


def _modules(auto_map: object) -> Iterator[str]:
    """The modules in an auto_map: `modeling_x.Class`, a list of such, or OTHER_REPOSITORY--module.Class."""
    for value in auto_map.values() if isinstance(auto_map, dict) else ():
        for reference in value if isinstance(value, list) else [value]:
            if isinstance(reference, str):
                yield Path(reference.rpartition("--")[2].partition(".")[0]).name
