"""Precisions: what bitsandbytes quantizes, models that are stored quantized, and bfloat16 where float16 overflows."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from core.domain import TokenScores, Turn
from core.errors import RunError
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.precision import can_compute_in_bfloat16, computing_in_bfloat16
from core.scoring.protocol import ScoringGroup
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import LAYERS, engine_of, random_model, rewrite_config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
KINDS = ("int8", "nf4", "fp4")
RESPONSE = "First double: 2 * 14 = 28. Then add: 14 + 28 = 42.\nFinal Answer: 42"


def log_probabilities(engine: HuggingFaceEngine) -> np.ndarray:
    context = engine.encode_context([Turn("user", "A baker sells 14 loaves. How many in all?")])
    (scores,) = engine.score([ScoringGroup(context, (engine.encode_response(RESPONSE),))])[0]
    assert isinstance(scores, TokenScores)
    return scores.log_probability


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    return log_probabilities(engine_of(TINY_MODEL))


def configuration(kind: str, compute: torch.dtype = torch.float32) -> transformers.BitsAndBytesConfig:
    if kind == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_compute_dtype=compute)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_quantized(kind: str, dtype: str, exact: np.ndarray) -> None:
    engine = engine_of(TINY_MODEL, quantization=kind, dtype=dtype)
    model = engine._model
    assert type(model.get_output_embeddings()) is torch.nn.Linear
    assert model.get_output_embeddings().weight.dtype == DTYPES[dtype]
    assert model.get_input_embeddings().weight.dtype == DTYPES[dtype]
    layers = [module for module in model.modules() if type(module).__module__.startswith("bitsandbytes")]
    assert len(layers) == 7 * model.config.num_hidden_layers
    if kind != "int8":
        assert {(layer.compute_dtype, layer.weight.quant_type) for layer in layers} == {(DTYPES[dtype], kind)}
    assert abs(float(log_probabilities(engine).mean() - exact.mean())) < 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", ["none", "as stored"])
def test_weights_stored_quantized_load_as_they_are(tmp_path: Path, kind: str, wanted: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        TINY_MODEL, quantization_config=configuration(kind, torch.float16), dtype=torch.bfloat16
    )
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(TINY_MODEL).save_pretrained(tmp_path)
    stored = engine_of(tmp_path, dtype="bfloat16", quantization="none" if wanted == "none" else kind)
    made = engine_of(TINY_MODEL, dtype="bfloat16", quantization=kind)
    np.testing.assert_array_equal(log_probabilities(stored), log_probabilities(made))
    assert stored.tier == made.tier
    assert "bitsandbytes" in stored.versions
    if kind != "int8":
        assert stored._model.get_decoder().layers[0].mlp.up_proj.compute_dtype == torch.bfloat16
    with pytest.raises(RunError, match=f"quantized already: {kind}"):
        engine_of(tmp_path, quantization=next(other for other in KINDS if other != kind))


@pytest.mark.parametrize(
    ("stored", "library"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "optimum"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "gptqmodel"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "compressed_tensors"),
    ],
)
def test_a_library_that_is_missing_is_named(tmp_path: Path, stored: dict[str, Any], library: str) -> None:
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    folder = random_model(tmp_path / "model", "llama")
    rewrite_config(folder, quantization_config=stored)
    with pytest.raises(RunError) as caught:
        engine_of(folder)
    assert library.replace("_", "-") in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=f"quantized already: {stored['quant_method']}"):
        engine_of(folder, quantization="nf4")


@pytest.mark.parametrize("stored", [{"quant_method": "unheard-of"}, {"bits": 4}])
def test_an_unknown_quantization_is_not_taken_for_plain_weights(tmp_path: Path, stored: dict[str, Any]) -> None:
    folder = random_model(tmp_path / "model", "llama")
    rewrite_config(folder, quantization_config=stored)
    with pytest.raises(RunError, match="not known here"):
        engine_of(folder)


def overflowing(folder: Path, architecture: str) -> Path:
    """A model that leaves the range of float16 inside one layer, whose result is an ordinary one.

    The layer is the second feed-forward layer; in Gemma, whose norms keep their input's type, the first attention.
    """
    random_model(folder, architecture)
    model = AutoModelForCausalLM.from_pretrained(folder)
    decoder = model.get_decoder()
    with torch.no_grad():
        if architecture == "gpt2":
            inner, outer = decoder.h[1].mlp.c_fc, decoder.h[1].mlp.c_proj
        elif architecture == "gemma3":
            inner, outer = decoder.layers[0].self_attn.v_proj, decoder.layers[0].self_attn.o_proj
        else:
            inner, outer = decoder.layers[1].mlp.up_proj, decoder.layers[1].mlp.down_proj
        inner.weight *= 4e4
        outer.weight /= 4e4
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    return folder


def scored(model: Any) -> torch.Tensor:
    ids = torch.arange(5, 155)[None] * 37 % 1000
    with torch.inference_mode():
        rows = model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
    return rows.gather(1, ids[0, 1:, None])[:, 0]


def loaded(folder: Path, dtype: torch.dtype, kind: str = "none") -> Any:
    arguments = {} if kind == "none" else {"quantization_config": configuration(kind, dtype)}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **arguments).eval().requires_grad_(False)


@pytest.fixture
def wide_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """bitsandbytes takes multiples of 32 on some processors."""
    sizes = {"hidden_size": 128, "intermediate_size": 256, "head_dim": 32}
    for name, size in sizes.items():
        monkeypatch.setitem(LAYERS, name, size)


@pytest.mark.usefixtures("wide_layers")
@pytest.mark.parametrize(
    ("architecture", "kind", "reference", "nats"),
    [
        ("llama", "none", torch.float32, 3e-2),
        ("llama", "none", torch.bfloat16, 3e-2),
        ("qwen2", "none", torch.float32, 3e-2),
        ("gpt2", "none", torch.float32, 3e-2),
        ("gemma3", "none", torch.float32, 3e-2),
        ("qwen2", "nf4", torch.float32, 3e-2),
        ("gemma3", "nf4", torch.float32, 3e-2),
        ("qwen2", "fp4", torch.float32, 3e-2),
        ("qwen2", "int8", torch.float32, 0.1),
    ],
)
def test_a_float16_model_computes_in_bfloat16(
    tmp_path: Path, architecture: str, kind: str, reference: torch.dtype, nats: float
) -> None:
    folder = overflowing(tmp_path, architecture)
    half, other = loaded(folder, torch.float16, kind), loaded(folder, reference, kind)
    before = scored(half)
    vectors = {name: value.clone() for name, value in half.named_parameters() if value.dim() < 2}
    assert not torch.isfinite(before).all()
    assert can_compute_in_bfloat16(half)
    with torch.inference_mode(), computing_in_bfloat16(half):
        found = scored(half)
    assert torch.isfinite(found).all()
    assert abs(float((found - scored(other)).mean())) < nats
    after = dict(half.named_parameters())
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in vectors.items())
    torch.testing.assert_close(scored(half), before, rtol=0, atol=0, equal_nan=True)


def test_the_model_is_as_before_even_after_a_failure(tmp_path: Path) -> None:
    model = loaded(random_model(tmp_path, "qwen2"), torch.float16)
    before = scored(model)

    def fail() -> None:
        with computing_in_bfloat16(model):
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}
    assert torch.equal(scored(model), before)


def as_foreign(model: Any) -> Any:
    model.is_quantized = True
    return model


@pytest.mark.parametrize(
    ("dtype", "changed"),
    [(torch.float32, lambda model: model), (torch.bfloat16, lambda model: model), (torch.float16, as_foreign)],
)
def test_where_computing_in_bfloat16_does_not_help(
    tmp_path: Path, dtype: torch.dtype, changed: Callable[[Any], Any]
) -> None:
    assert not can_compute_in_bfloat16(changed(loaded(random_model(tmp_path, "llama"), dtype)))
