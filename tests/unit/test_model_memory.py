"""The estimate of memory: from headers and configuration, and against a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from core.model_memory import LIBRARY_BYTES, memory_need, working_memory
from core.models import weight_bytes
from core.safetensors_headers import stored_tensors
from tests.conftest import ROOT, TINY_MODEL
from tests.unit.scoring_models import random_model, rewrite_config

MODEL = str(TINY_MODEL)


def test_headers_say_what_the_files_hold() -> None:
    tensors = safetensors.torch.load_file(TINY_MODEL / "model.safetensors")
    found = {tensor.name: tensor for tensor in stored_tensors(TINY_MODEL)}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].shape == tuple(tensor.shape)
        assert (found[name].size, found[name].count) == (tensor.nbytes, tensor.numel())


@pytest.mark.parametrize("content", [b"", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 100, b'\x0b\0\0\0\0\0\0\0{"a":[1,2]}'])
def test_a_broken_header_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert stored_tensors(tmp_path) == []
    assert memory_need(str(tmp_path), "nf4", "bfloat16", 100) >= LIBRARY_BYTES + len(content)


def weights_need(folder: str, quantization: str, dtype: str) -> int:
    need = memory_need(folder, quantization, dtype, 500, on_gpu=True)
    return need - LIBRARY_BYTES - working_memory(folder, quantization, dtype, 500, on_gpu=True)


@pytest.mark.parametrize("kind", ["none", "int8", "nf4", "fp4"])
def test_weights_in_memory(kind: str) -> None:
    """Against the bytes of a loaded model, with the scales of four bits."""
    arguments = {}
    if kind != "none":
        four = {"load_in_4bit": True, "bnb_4bit_quant_type": kind}
        config = BitsAndBytesConfig(**({"load_in_8bit": True} if kind == "int8" else four))
        arguments = {"quantization_config": config}
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL, dtype=torch.bfloat16, **arguments)
    scales = [getattr(weight, "quant_state", None) for weight in model.parameters()]
    expected = sum(weight.nbytes for weight in model.parameters())
    expected += sum(state.absmax.nbytes for state in scales if state is not None)
    assert weights_need(MODEL, kind, "bfloat16") == pytest.approx(expected, rel=0.01)


def test_weights_that_are_stored_quantized_stay_as_they_are(tmp_path: Path) -> None:
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    AutoModelForCausalLM.from_pretrained(TINY_MODEL, dtype=torch.bfloat16, quantization_config=config).save_pretrained(
        tmp_path
    )
    assert weights_need(str(tmp_path), "none", "bfloat16") == pytest.approx(weight_bytes(str(tmp_path)), rel=0.15)


def test_a_cpu_also_holds_what_it_converts() -> None:
    stored = weight_bytes(MODEL)
    assert memory_need(MODEL, "nf4", "bfloat16", 1) - memory_need(MODEL, "none", "bfloat16", 1) > stored / 3
    assert memory_need(MODEL, "none", "float32", 1) > memory_need(MODEL, "none", "bfloat16", 1)


def test_the_cache_counts_the_heads_that_keep_something(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model", "llama")

    def growth() -> int:
        return working_memory(str(folder), "none", "float32", 8000) - working_memory(
            str(folder), "none", "float32", 7000
        )

    few = growth()
    rewrite_config(folder, num_key_value_heads=4)
    assert growth() - few == 2 * 3 * 2 * 12 * 4 * 1000


def test_sizes_of_nested_and_older_configurations(tmp_path: Path) -> None:
    plain = random_model(tmp_path / "plain", "llama")
    wanted = working_memory(str(plain), "none", "bfloat16", 900)
    content = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({"model_type": "some_vision_model", "text_config": content}))
    assert working_memory(str(plain), "none", "bfloat16", 900) == wanted > 0
    older = random_model(tmp_path / "older", "gpt2")
    assert working_memory(str(older), "none", "bfloat16", 900) > 0
    (older / "config.json").write_text('{"hidden_size": "big", "vocab_size": null, "num_attention_heads": 0}')
    assert working_memory(str(older), "none", "bfloat16", 900) == 0


def test_of_a_gguf_file_only_the_weights_count(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" * 1000)
    assert memory_need(str(file), "none", "bfloat16", 100) == LIBRARY_BYTES + 4000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere libraries take other memory")
def test_the_estimate_is_near_what_a_process_takes() -> None:
    """Started from a process that is larger, which must not count."""
    large = bytearray(b"1") * (1 << 30)
    code = (
        "import sys\n"
        "from core.scoring.hf.load import load_engine\n"
        "from core.scoring.protocol import EngineSettings, ScoringGroup\n"
        "engine = load_engine(EngineSettings(sys.argv[1], device='cpu', quantization='nf4'))\n"
        "engine.score([ScoringGroup((5, 6) * 400, ((7, 8) * 60,) * 6, detail=True)])\n"
        "print(engine.peak_memory_bytes())\n"
    )
    command = [sys.executable, "-c", code, MODEL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(large) == 1 << 30
    assert memory_need(MODEL, "nf4", "float32", 920) == pytest.approx(int(done.stdout), rel=0.35)
