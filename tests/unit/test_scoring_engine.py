"""The engine's numbers against a plain loop of this file's own, tier against tier, and errors of single samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.domain import SampleError, TokenScores, Turn
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.protocol import ScoringGroup
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import VOCABULARY, engine_of, random_model

QUESTION = (Turn("user", "A baker sells 14 loaves in the morning and twice as many later. How many in all?"),)
TEXTS = (
    "First double: 2 * 14 = 28. Then add: 14 + 28 = 42.\nFinal Answer: 42",
    "42",
    "It is forty-two, my dear friend, as everybody knows who has ever sold bread in this town.\nFinal Answer: 42",
    "x",
)


@pytest.fixture(scope="module")
def tiny() -> HuggingFaceEngine:
    return engine_of(TINY_MODEL)


def group(engine: HuggingFaceEngine, texts: tuple[str, ...] = TEXTS, detail: bool = True) -> ScoringGroup:
    return ScoringGroup(
        engine.encode_context(QUESTION), tuple(engine.encode_response(text) for text in texts), detail=detail
    )


def all_scores(results: list[TokenScores | SampleError]) -> list[TokenScores]:
    assert all(isinstance(result, TokenScores) for result in results), results
    return [result for result in results if isinstance(result, TokenScores)]


def plain_loop(folder: Path, wanted: ScoringGroup) -> list[dict[str, np.ndarray]]:
    """One sequence at a time with full logits in float64."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    found = []
    for response in wanted.responses:
        ids = torch.tensor([[*wanted.context, *response]])
        with torch.no_grad():
            logits = model(ids).logits[0].double()
        rows = logits[len(wanted.context) - 1 : -1]
        own = rows.gather(1, torch.tensor(response)[:, None])
        logs = torch.log_softmax(rows, dim=1)
        found.append(
            {
                "log_probability": logs.gather(1, torch.tensor(response)[:, None])[:, 0].numpy(),
                "rank": 1 + (rows > own).sum(1).numpy(),
                "entropy": -(logs.exp() * logs).sum(1).numpy(),
                "sum_of_squares": (logs.exp() ** 2).sum(1).numpy(),
            }
        )
    return found


def assert_equals_loop(results: list[TokenScores | SampleError], wanted: list[dict[str, np.ndarray]]) -> None:
    for scores, true in zip(all_scores(results), wanted, strict=True):
        np.testing.assert_allclose(scores.log_probability, true["log_probability"], atol=1e-5, rtol=0)
        assert scores.entropy is not None
        assert scores.sum_of_squares is not None
        np.testing.assert_allclose(scores.entropy, true["entropy"], atol=1e-5, rtol=0)
        np.testing.assert_allclose(scores.sum_of_squares, true["sum_of_squares"], atol=1e-5, rtol=0)
        np.testing.assert_array_equal(scores.rank, true["rank"])


def test_the_bundled_model_scores_as_a_plain_loop(tiny: HuggingFaceEngine) -> None:
    wanted = group(tiny)
    assert tiny.tier == "packed cascade"
    assert_equals_loop(tiny.score([wanted])[0], plain_loop(TINY_MODEL, wanted))


TIERS = {
    "llama": "packed cascade",
    "qwen2": "packed cascade",
    "cohere": "packed cascade",
    "granite": "packed cascade",
    "gpt2": "packed cascade",
    "gemma3": "shared cache",
    "gemma2": "shared cache",
}


@pytest.mark.parametrize("architecture", TIERS)
def test_every_architecture_scores_as_a_plain_loop(tmp_path: Path, architecture: str) -> None:
    """Sliding windows shorter than the row, learned positions, tied heads, scaled and capped logits."""
    folder = random_model(tmp_path / architecture, architecture)
    engine = engine_of(folder)
    wanted = group(engine)
    assert engine.tier == TIERS[architecture]
    assert_equals_loop(engine.score([wanted])[0], plain_loop(folder, wanted))


def test_the_same_call_gives_the_same_bits(tiny: HuggingFaceEngine) -> None:
    """A resumed run repeats the calls of its plan, so that it equals an uninterrupted one."""
    first, again = (all_scores(tiny.score([group(tiny)])[0]) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.log_probability, other.log_probability)
        np.testing.assert_array_equal(one.entropy, other.entropy)


def test_what_shares_a_call_changes_nothing_that_matters(tiny: HuggingFaceEngine) -> None:
    together = all_scores(tiny.score([group(tiny)])[0])
    alone = [all_scores(tiny.score([group(tiny, (text,))])[0])[0] for text in TEXTS]
    backwards = all_scores(tiny.score([group(tiny), group(tiny, TEXTS[::-1])])[1])[::-1]
    for scores in zip(together, alone, backwards, strict=True):
        for other in scores[1:]:
            np.testing.assert_allclose(scores[0].log_probability, other.log_probability, atol=1e-5, rtol=0)
            np.testing.assert_allclose(scores[0].entropy, other.entropy, atol=1e-5, rtol=0)


def test_detail_changes_no_log_probability(tiny: HuggingFaceEngine) -> None:
    for full, short in zip(
        all_scores(tiny.score([group(tiny)])[0]), all_scores(tiny.score([group(tiny, detail=False)])[0]), strict=True
    ):
        np.testing.assert_array_equal(full.log_probability, short.log_probability)
        assert short.rank is None
        assert short.entropy is None
        assert full.rank is not None
        assert full.rank.dtype == np.int32
        assert full.log_probability.dtype == np.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_within_its_gate(tiny: HuggingFaceEngine, dtype: str) -> None:
    engine = engine_of(TINY_MODEL, dtype=dtype)
    assert engine.tier == "packed cascade"
    for half, full in zip(
        all_scores(engine.score([group(engine)])[0]), all_scores(tiny.score([group(tiny)])[0]), strict=True
    ):
        if full.tokens > 10:
            assert abs(float(half.log_probability.mean() - full.log_probability.mean())) < 3e-2


@pytest.mark.parametrize("quantization", ["int8", "nf4", "fp4"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_quantized_models_score_on_the_cpu(tiny: HuggingFaceEngine, quantization: str, dtype: str) -> None:
    engine = engine_of(TINY_MODEL, quantization=quantization, dtype=dtype)
    linear = engine._model.get_decoder().layers[0].mlp.up_proj
    assert type(linear).__module__.startswith("bitsandbytes")
    assert engine.tier == ("shared cache" if quantization == "int8" else "packed cascade")
    assert "bitsandbytes" in engine.versions
    quantized = all_scores(engine.score([group(engine)])[0])
    exact = all_scores(tiny.score([group(tiny)])[0])
    for own, true in zip(quantized, exact, strict=True):
        assert np.isfinite(own.log_probability).all()
        assert abs(float(own.log_probability.mean() - true.log_probability.mean())) < 1.0
    assert any(
        not np.array_equal(own.log_probability, true.log_probability)
        for own, true in zip(quantized, exact, strict=True)
    )


def test_int8_scores_do_not_depend_on_the_other_responses() -> None:
    engine = engine_of(TINY_MODEL, quantization="int8")
    together = all_scores(engine.score([group(engine)])[0])
    for text, scores in zip(TEXTS, together, strict=True):
        (alone,) = all_scores(engine.score([group(engine, (text,))])[0])
        np.testing.assert_array_equal(scores.log_probability, alone.log_probability)


def test_errors_belong_to_their_sample(tiny: HuggingFaceEngine) -> None:
    context = tiny.encode_context(QUESTION)
    good = tiny.encode_response("42")
    too_long = (5,) * (tiny.max_context_tokens - len(context) + 1)
    results = tiny.score([ScoringGroup(context, ((), good, too_long, (3, VOCABULARY), too_long[:-1]))])[0]
    codes = [result.code if isinstance(result, SampleError) else "" for result in results]
    assert codes == ["empty", "", "too_long", "token_out_of_vocabulary", ""]


def test_without_a_context_nothing_is_scored(tiny: HuggingFaceEngine) -> None:
    (result,) = tiny.score([ScoringGroup((), ((5, 6),))])[0]
    assert isinstance(result, SampleError)
    assert result.code == "no_context"


def test_values_that_are_no_numbers_become_errors(tmp_path: Path) -> None:
    engine = engine_of(random_model(tmp_path / "model", "llama"))
    wanted = group(engine, ("42", "abc"))
    poisoned = wanted.responses[0][0]
    assert poisoned not in wanted.responses[1]
    with torch.no_grad():
        engine._model.get_output_embeddings().weight[poisoned] = float("nan")
    assert [result.code for result in engine.score([wanted])[0] if isinstance(result, SampleError)] == ["nonfinite"] * 2


def test_an_overflow_behind_one_token_fails_that_response_only(tmp_path: Path) -> None:
    engine = engine_of(random_model(tmp_path / "model", "llama"))
    wanted = group(engine, ("Zebras", "abc"))
    poisoned = wanted.responses[0][0]
    assert poisoned not in wanted.context + wanted.responses[1]
    with torch.no_grad():
        engine._model.get_input_embeddings().weight[poisoned] = float("inf")
    failed, fine = engine.score([wanted])[0]
    assert isinstance(failed, SampleError)
    assert failed.code == "nonfinite"
    assert isinstance(fine, TokenScores)


def test_what_the_engine_says_about_itself(tiny: HuggingFaceEngine) -> None:
    assert tiny.device == "cpu"
    assert tiny.max_context_tokens == 2048
    assert set(tiny.versions) == {"python", "torch", "transformers"}
    assert tiny.peak_memory_bytes() > 10 << 20
    assert 10 << 20 < tiny.memory_bytes() <= tiny.peak_memory_bytes()
