"""Tier against tier, and how an engine chooses among them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.errors import RunError
from core.scoring.hf.attention import _attend_varlen
from core.scoring.hf.cascade import PackedCascade
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.gate import GATES
from core.scoring.hf.head import rows_per_chunk
from core.scoring.hf.limits import UNLIMITED, packed_limit, shared_limit
from core.scoring.hf.tiers import OneByOne, SharedCache, Tier
from core.scoring.protocol import ScoringGroup
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import VOCABULARY, engine_of, random_model

GATE_TOKEN, GATE_MEAN = 1e-4, 2e-5


def ids(count: int, seed: int) -> tuple[int, ...]:
    draw = random.Random(seed)
    return tuple(draw.randrange(2, VOCABULARY) for _ in range(count))


def groups() -> list[ScoringGroup]:
    """Responses and contexts of one token and more, contexts that are kept, with and without detail."""
    kept = ids(23, 5)
    return [
        ScoringGroup(ids(60, 1), (ids(40, 2), ids(1, 3), ids(17, 4)), detail=True),
        ScoringGroup(kept, (ids(1, 6),), keep=True),
        ScoringGroup(ids(1, 7), (ids(9, 8), ids(30, 9))),
        ScoringGroup(kept, (ids(12, 10), ids(1, 11), ids(5, 12)), detail=True, keep=True),
        ScoringGroup(ids(33, 13), (ids(1, 14),), detail=True),
    ]


def scored(tier: Tier, wanted: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
    with torch.inference_mode():
        return tier.score(wanted)


def assert_within_gate(found: list[list[torch.Tensor]], reference: list[list[torch.Tensor]]) -> None:
    assert [len(own) for own in found] == [len(true) for true in reference]
    for own, true in zip(chain(*found), chain(*reference), strict=True):
        assert own.shape == true.shape
        difference = own[0] - true[0]
        assert float(difference.abs().max()) <= GATE_TOKEN
        assert abs(float(difference.mean())) <= GATE_MEAN
        if len(own) == 4:
            torch.testing.assert_close(own[1], true[1], atol=0, rtol=0)
            torch.testing.assert_close(own[2:], true[2:], atol=1e-4, rtol=0)


TIERS: dict[str, Callable[[Any], Tier]] = {
    "packed": PackedCascade,
    "shared, alone in call": lambda model: SharedCache(model, alone_in_call=True),
    "shared, padded": lambda model: SharedCache(model, alone_in_call=False),
}


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
@pytest.mark.parametrize("name", TIERS)
def test_every_tier_equals_one_by_one(tmp_path: Path, architecture: str, name: str) -> None:
    """Grouped key heads, a sliding window of 16 tokens, learned positions; float32 gates."""
    model = engine_of(random_model(tmp_path / "model", architecture))._model
    tier = TIERS[name](model)
    if tier.longest < 100:
        assert (architecture, name) == ("gemma3", "packed")
        wanted = [ScoringGroup(ids(4, 1), (ids(12, 2), ids(1, 3))), ScoringGroup(ids(6, 4), (ids(9, 5),), keep=True)]
    else:
        wanted = groups()
    assert_within_gate(scored(tier, wanted), scored(OneByOne(model), wanted))


def test_the_packed_cascade_is_wrong_beyond_a_window_and_the_gate_sees_it(tmp_path: Path) -> None:
    """What it would compute were its limit not asked: wrong by far, without any error."""
    model = engine_of(random_model(tmp_path / "model", "gemma3"))._model
    wanted = [ScoringGroup(ids(60, 1), (ids(40, 2),))]
    (packed,), (true,) = scored(PackedCascade(model), wanted)[0], scored(OneByOne(model), wanted)[0]
    assert float((packed - true).abs().max()) > 0.1


def test_a_window_that_is_long_enough_takes_short_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples within the window are packed, longer ones go behind the shared cache."""
    folder = random_model(tmp_path / "model", "gemma3")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.sliding_window = 300
    config.save_pretrained(folder)
    engine = engine_of(folder)
    assert engine.tier == "packed cascade"
    used: list[str] = []
    for kind in (PackedCascade, SharedCache):
        score = kind.score
        monkeypatch.setattr(
            kind, "score", lambda self, wanted, score=score: used.append(self.name) or score(self, wanted)
        )
    short, long = ScoringGroup(ids(250, 1), (ids(50, 2),)), ScoringGroup(ids(250, 3), (ids(51, 4),))
    found = engine.score([short, long])
    assert used == ["packed cascade", "shared cache"]
    reference = scored(OneByOne(engine._model), [short, long])
    for own, true in zip(found, reference, strict=True):
        torch.testing.assert_close(torch.tensor(own[0].log_probability), true[0][0], atol=GATE_TOKEN, rtol=0)


def test_limits_come_from_the_configuration() -> None:
    assert packed_limit(transformers.LlamaConfig()) == UNLIMITED
    assert packed_limit(transformers.MistralConfig(sliding_window=4096)) == 4096
    assert packed_limit(transformers.MistralConfig(sliding_window=None)) == UNLIMITED
    assert packed_limit(transformers.Qwen2Config(use_sliding_window=False)) == UNLIMITED
    assert packed_limit(transformers.Gemma3TextConfig(sliding_window=512)) == 512
    assert packed_limit(transformers.Qwen3NextConfig()) == 0
    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    assert shared_limit(transformers.LlamaConfig(rope_parameters=dynamic, max_position_embeddings=512)) == 512
    assert packed_limit(transformers.LlamaConfig(rope_parameters=dynamic, max_position_embeddings=512)) == 512


def test_kept_contexts_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine_of(random_model(tmp_path / "model", "llama"))._model
    tier = PackedCascade(model)
    rows: list[int] = []
    forward = tier._forward
    monkeypatch.setattr(tier, "_forward", lambda ids, *rest: rows.append(len(ids)) or forward(ids, *rest))
    kept = ids(20, 1)
    for seed in (2, 3, 4):
        scored(tier, [ScoringGroup(kept, (ids(6, seed),), keep=True)])
    assert rows == [20, 5, 5, 5]
    tier.forget()
    scored(tier, [ScoringGroup(kept, (ids(6, 5),), keep=True)])
    assert rows[4:] == [20, 5]


def test_a_resting_engine_keeps_no_context(tmp_path: Path) -> None:
    engine = engine_of(random_model(tmp_path / "model", "llama"))
    wanted = [ScoringGroup(ids(20, 1), (ids(6, 2),), keep=True)]
    before = engine.score(wanted)[0][0]
    tier: Any = engine._ladder.tiers[0]
    assert len(tier._kept._values) == 1
    engine.rest()
    assert len(tier._kept._values) == 0
    torch.testing.assert_close(engine.score(wanted)[0][0].log_probability, before.log_probability, atol=0, rtol=0)


def test_the_attention_of_the_model_is_as_before(tmp_path: Path) -> None:
    engine = engine_of(random_model(tmp_path / "model", "llama"))
    before = engine._model.config._attn_implementation
    engine.score(groups())
    assert engine._model.get_decoder().config._attn_implementation == before


def test_variable_length_attention_is_cut_and_merged_as_the_pieces_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of GPUs, with a plain loop in place of torch's kernel, which has none for a CPU."""
    model = engine_of(random_model(tmp_path / "model", "llama"))._model

    def kernel(
        query: Any, key: Any, value: Any, starts: Any, key_starts: Any, *_: int, scale: float, **how: Any
    ) -> Any:
        outputs, weights = [], []
        for place in range(len(starts) - 1):
            asking = query[starts[place] : starts[place + 1]]
            seen = slice(int(key_starts[place]), int(key_starts[place + 1]))
            copies = query.shape[1] // key.shape[1]
            keys, values = (part[seen].repeat_interleave(copies, dim=1) for part in (key, value))
            scores = torch.einsum("qhd,khd->hqk", asking, keys) * scale
            if how["window_size"] == (-1, 0):
                scores = scores + torch.full(scores.shape[1:], float("-inf")).triu(1)
            outputs.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), values))
            weights.append(scores.logsumexp(-1))
        return torch.cat(outputs), torch.cat(weights, dim=1)

    monkeypatch.setattr("core.scoring.hf.attention._VARLEN", kernel)
    monkeypatch.setattr("core.scoring.hf.attention._attend_pieces", _attend_varlen)
    assert_within_gate(scored(PackedCascade(model), groups()), scored(OneByOne(model), groups()))


def test_padded_calls_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine_of(random_model(tmp_path / "model", "llama"))._model
    tier = SharedCache(model, alone_in_call=False)
    wanted = [ScoringGroup(ids(20, 1), tuple(ids(10, seed) for seed in range(4)))]
    together = scored(tier, wanted)
    monkeypatch.setattr("core.scoring.hf.tiers._PADDED_TOKENS", 20)
    sizes: list[int] = []
    hidden_rows = tier._hidden_rows
    monkeypatch.setattr(
        tier, "_hidden_rows", lambda *arguments: sizes.append(len(arguments[2])) or hidden_rows(*arguments)
    )
    apart = scored(tier, wanted)
    assert sizes == [2, 2]
    assert_within_gate(apart, together)


@pytest.mark.parametrize("name", TIERS)
def test_small_row_chunks_change_nothing_that_matters(tmp_path: Path, name: str) -> None:
    model = engine_of(random_model(tmp_path / "model", "llama"))._model
    tier: Any = TIERS[name](model)
    whole = scored(tier, groups())
    tier._chunk = 3
    assert_within_gate(scored(tier, groups()), whole)


def test_logits_of_a_large_vocabulary_stay_within_32_mib_on_a_cpu() -> None:
    assert rows_per_chunk(262_144, "cpu") * 262_144 * 4 <= 32 << 20
    assert rows_per_chunk(1024, "cpu") == 2048


@pytest.mark.parametrize("kind", [PackedCascade, SharedCache])
def test_a_tier_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    """Off by more than the gate's mean, less than its largest token."""
    right = kind.score
    monkeypatch.setattr(
        kind, "score", lambda self, wanted: [[rows - 3e-5 for rows in own] for own in right(self, wanted)]
    )
    engine = engine_of(TINY_MODEL)
    assert engine.tier == {PackedCascade: "shared cache", SharedCache: "packed cascade"}[kind]
    assert len(engine.notes) == (kind is PackedCascade)


def test_with_no_other_tier_it_is_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise AttributeError("this model has no cache")

    for kind in (PackedCascade, SharedCache):
        monkeypatch.setattr(kind, "score", broken)
    engine = engine_of(TINY_MODEL)
    assert engine.tier == "one by one"
    assert engine.notes == (
        "the self-test refused the packed cascade for this model",
        "the self-test refused the shared cache for this model",
    )
    with pytest.raises(RunError, match="cannot be computed as packed cascade"):
        engine_of(TINY_MODEL, tier="packed cascade")


@pytest.mark.parametrize("tier", ["packed cascade", "shared cache", "one by one"])
def test_a_tier_can_be_wished_for(tier: str) -> None:
    assert engine_of(TINY_MODEL, tier=tier).tier == tier


def out_of_memory(message: str) -> RuntimeError:
    return torch.OutOfMemoryError(message) if "CUDA" in message else RuntimeError(message)


@pytest.mark.parametrize("message", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory"])
def test_out_of_memory_halves_and_remembers(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """Room for 700 tokens at a time, and never for one response."""
    engine = engine_of(TINY_MODEL)
    engine.limit_tokens(1200)
    huge = ids(80, 99)
    wanted = [ScoringGroup(ids(200, seed), (ids(50, seed + 1), ids(100, seed + 2))) for seed in (10, 20, 30)]
    wanted.append(ScoringGroup(ids(40, 40), (ids(20, 41), huge, ids(30, 42))))
    exact = engine.score(wanted)
    score = PackedCascade.score
    calls: list[int] = []

    def cramped(self: PackedCascade, given: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
        calls.append(tokens_of(given))
        if calls[-1] > 700 or any(huge in group.responses for group in given):
            raise out_of_memory(message)
        return score(self, given)

    monkeypatch.setattr(PackedCascade, "score", cramped)
    results = engine.score(wanted)
    assert engine.token_budget == 525
    assert calls[:3] == [1050, 350, 700]
    error = results[3].pop(1)
    exact[3].pop(1)
    assert getattr(error, "code", "") == "out_of_memory"
    for own, true in zip(chain(*results), chain(*exact), strict=True):
        torch.testing.assert_close(
            torch.tensor(own.log_probability), torch.tensor(true.log_probability), atol=1e-5, rtol=0
        )
    calls.clear()
    engine.score(wanted[:3])
    assert calls == [350, 350, 350]


def tokens_of(given: Sequence[ScoringGroup]) -> int:
    return sum(len(group.context) + sum(map(len, group.responses)) for group in given)


def test_other_failures_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: HuggingFaceEngine = engine_of(TINY_MODEL)

    def broken(*arguments: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(PackedCascade, "score", broken)
    with pytest.raises(RuntimeError, match="device-side"):
        engine.score(groups())


def test_a_float16_overflow_is_computed_again_in_bfloat16(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model", "llama")
    exact, engine = engine_of(folder), engine_of(folder, dtype="float16")
    with torch.no_grad():
        feed_forward = engine._model.get_decoder().layers[1].mlp
        feed_forward.up_proj.weight *= 2e4
        feed_forward.down_proj.weight /= 2e4
    exact._model.load_state_dict(engine._model.state_dict())
    wanted = [ScoringGroup(ids(20, 1), (ids(120, 2), ids(90, 3)), detail=True)]
    raw = scored(engine._ladder.tiers[0], wanted)[0]
    overflowed = [not bool(torch.isfinite(rows).all()) for rows in raw]
    assert any(overflowed)
    for own, true, was_redone in zip(engine.score(wanted)[0], exact.score(wanted)[0], overflowed, strict=True):
        assert own.redone_in == ("bfloat16" if was_redone else "")
        assert abs(float(own.log_probability.mean() - true.log_probability.mean())) < 3e-2
        assert own.entropy is not None


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_tiers_are_as_exact_as_one_by_one(
    tmp_path: Path, architecture: str, name: str, dtype: str
) -> None:
    """Per-response means within the dtype's gate of one by one; the error to float32 no more than a third larger."""
    folder = random_model(tmp_path / "model", architecture)
    model, exact = engine_of(folder, dtype=dtype)._model, engine_of(folder)._model
    tier = TIERS[name](model)
    long, short = (20, 90), (4, 12)
    context, response = long if tier.longest >= 110 else short
    wanted = [ScoringGroup(ids(context, 1), tuple(ids(response, seed) for seed in range(2, 10)))]
    found, half, full = (scored(each, wanted)[0] for each in (tier, OneByOne(model), OneByOne(exact)))
    differences = torch.stack([(own - true)[0].mean() for own, true in zip(found, half, strict=True)])
    if response == long[1]:
        assert float(differences.abs().max()) <= GATES[dtype].mean
    assert root_mean_square(found, full) <= 1.3 * root_mean_square(half, full)


def root_mean_square(found: list[torch.Tensor], exact: list[torch.Tensor]) -> float:
    return float(torch.cat([(own - true)[0] for own, true in zip(found, exact, strict=True)]).square().mean().sqrt())
