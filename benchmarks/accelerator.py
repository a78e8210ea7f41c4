"""What only a GPU needs: its name, what it reaches in matrix products, and random models of real sizes.

`python -m benchmarks.accelerator ceiling DEVICE` prints JSON; `... random SIZE FOLDER TOKENIZER` makes a model.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

SIZES: dict[str, dict[str, Any]] = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
_VOCABULARY = 128256
_GEMM_SIDE = 8192
_GEMM_ROUNDS = 30


def ceiling(device: str) -> dict[str, Any]:
    """Operations per second of large bfloat16 matrix products, the median of some rounds."""
    import torch

    left, right = (torch.randn(_GEMM_SIDE, _GEMM_SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    milliseconds = sorted(_time_product(torch, left, right) for _ in range(_GEMM_ROUNDS))
    seconds = milliseconds[_GEMM_ROUNDS // 2] / 1000
    return {"card": torch.cuda.get_device_name(device), "operations_per_second": 2 * _GEMM_SIDE**3 / seconds}


def _time_product(torch: Any, left: Any, right: Any) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    left @ right
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def random_model(size: str, folder: Path, tokenizer: Path) -> Path:
    """A Llama of this size with random bfloat16 weights, and another model's tokenizer; made once."""
    import torch
    import transformers

    if (folder / "config.json").is_file():
        return folder
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **SIZES[size], vocab_size=_VOCABULARY, num_key_value_heads=8, max_position_embeddings=8192
    )
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    scratch = folder.with_name(f".{folder.name}")
    model.save_pretrained(scratch)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tokenizer / name, scratch / name)
    scratch.rename(folder)
    return folder


if __name__ == "__main__":
    if sys.argv[1] == "ceiling":
        print(json.dumps(ceiling(sys.argv[2])))
    else:
        print(random_model(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
