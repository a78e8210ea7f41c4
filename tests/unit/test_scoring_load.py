"""Loading target models: what is refused and how it is said, adapters, GGUF files, and what stays unimported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

from core.domain import TokenScores, Turn
from core.errors import RunError
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.load import load_encoder, load_engine
from core.scoring.hf.tiers import OneByOne
from core.scoring.protocol import EngineSettings, ScoringGroup
from tests.conftest import ROOT, TINY_MODEL
from tests.unit.scoring_models import engine_of, random_model

QUESTION = (Turn("user", "How many eggs are left?"),)


def log_probabilities(engine: HuggingFaceEngine, text: str = "There are 12 eggs left.") -> np.ndarray:
    group = ScoringGroup(engine.encode_context(QUESTION), (engine.encode_response(text),))
    (scores,) = engine.score([group])[0]
    assert isinstance(scores, TokenScores)
    return scores.log_probability


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_model(tmp_path / "model", "llama")


def refusal(folder: Path, **settings: str) -> RunError:
    with pytest.raises(RunError) as caught:
        engine_of(folder, **settings)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(folder: Path) -> None:
    with pytest.raises(RunError, match="no GPU"):
        load_engine(EngineSettings(str(folder), device="cuda:0"))


def test_the_phases_are_told(folder: Path) -> None:
    phases: list[str] = []
    load_engine(EngineSettings(str(folder)), phases.append)
    assert phases == ["loading tokenizer", "loading weights", "checking the engine"]


def test_the_encoder_needs_no_weights(folder: Path) -> None:
    settings = EngineSettings(str(folder))
    engine = load_engine(settings)
    (folder / "model.safetensors").write_bytes(b"")
    encoder = load_encoder(settings)
    assert encoder.encode_context(QUESTION) == engine.encode_context(QUESTION)
    assert encoder.encode_response("a b") == engine.encode_response("a b")
    assert encoder.max_context_tokens == engine.max_context_tokens == 512


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (AssertionError("N must be divisible by block_n"), RunError),
        (RuntimeError("not implemented for 'Half'"), RunError),
        (torch.OutOfMemoryError("CUDA out of memory"), MemoryError),
    ],
)
def test_a_model_that_does_not_compute_is_found_at_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: type[Exception]
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise failure

    monkeypatch.setattr(OneByOne, "score", broken)
    with pytest.raises(expected):
        engine_of(folder)


def make_adapter(model: Path, adapter: Path, target: str = "q_proj") -> Path:
    torch.manual_seed(3)
    config = peft.LoraConfig(r=4, target_modules=[target], task_type="CAUSAL_LM", init_lora_weights=False)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(adapter)
    return adapter


@pytest.mark.parametrize("target", ["q_proj", "lm_head"])
def test_an_adapter_changes_the_scores(folder: Path, tmp_path: Path, target: str) -> None:
    adapter = make_adapter(folder, tmp_path / "adapter", target)
    engine = engine_of(folder, adapter=str(adapter))
    assert engine.tier == "packed cascade"
    assert "peft" in engine.versions
    base = AutoModelForCausalLM.from_pretrained(folder)
    reference = peft.PeftModel.from_pretrained(base, adapter).eval()
    context, response = engine.encode_context(QUESTION), engine.encode_response("There are 12 eggs left.")
    with torch.no_grad():
        rows = reference(torch.tensor([[*context, *response]])).logits[0, len(context) - 1 : -1].double()
    expected = torch.log_softmax(rows, 1).gather(1, torch.tensor(response)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(log_probabilities(engine), expected, atol=1e-5, rtol=0)
    assert not np.allclose(log_probabilities(engine_of(folder)), expected, atol=1e-3)


def test_an_adapter_on_a_quantized_model(tmp_path: Path) -> None:
    adapter = make_adapter(TINY_MODEL, tmp_path / "adapter")
    adapted = log_probabilities(engine_of(TINY_MODEL, quantization="nf4", adapter=str(adapter)))
    plain = log_probabilities(engine_of(TINY_MODEL, quantization="nf4"))
    assert np.isfinite(adapted).all()
    assert not np.allclose(adapted, plain, atol=1e-3)


def test_bad_adapters_are_refused(folder: Path, tmp_path: Path) -> None:
    adapter = make_adapter(folder, tmp_path / "adapter")
    assert "adapter_config.json" in refusal(folder, adapter=str(folder)).message
    stranger = random_model(tmp_path / "stranger", "gpt2")
    refusal(stranger, adapter=str(adapter))
    file = adapter / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    tensors.pop(next(iter(tensors)))
    safetensors.torch.save_file(tensors, file)
    assert "incomplete" in refusal(folder, adapter=str(adapter)).message
    file.write_bytes(b"\xff" * 100)
    refusal(folder, adapter=str(adapter))
    file.rename(adapter / "adapter_model.bin")
    assert "adapter_model.safetensors" in refusal(folder, adapter=str(adapter)).message


def test_a_prompt_tuning_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config).save_pretrained(tmp_path / "prompt")
    refusal(folder, adapter=str(tmp_path / "prompt"))


def test_scoring_imports_neither_screen_nor_catalogue_nor_quantization(folder: Path) -> None:
    code = (
        "import sys\n"
        "from core.scoring.hf.load import load_engine\n"
        "from core.scoring.protocol import EngineSettings, ScoringGroup\n"
        f"engine = load_engine(EngineSettings({str(folder)!r}))\n"
        "engine.score([ScoringGroup((5, 6), ((7, 8),), detail=True)])[0]\n"
        "unwanted = {'textual', 'sqlite_utils', 'bitsandbytes', 'peft', 'gguf', 'platformdirs', 'math_verify'}\n"
        "assert not unwanted & set(sys.modules), unwanted & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_bundled_folder_is_left_as_it_is(tmp_path: Path) -> None:
    copied = shutil.copytree(TINY_MODEL, tmp_path / "model")
    before = {file.name: file.stat().st_mtime_ns for file in copied.iterdir()}
    engine_of(copied)
    assert {file.name: file.stat().st_mtime_ns for file in copied.iterdir()} == before
