"""The published responses under a real model against an independent one-by-one reference (several minutes)."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from core.domain import Prediction, TokenScores, Turn
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.prompts import in_context_examples, load_template, self_aligned_turns
from core.scoring.protocol import ScoringGroup
from tests.conftest import SHARED
from tests.unit.scoring_models import engine_of

MODEL = os.environ.get("SAP_TUI_SMALL_MODEL", "")
EXPECTED = SHARED / "spec" / "expected_scores.json"
RESPONSES = SHARED / "paper_responses" / "gsm8k"
QUESTIONS = 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not MODEL, reason="SAP_TUI_SMALL_MODEL names no folder with SmolLM2-135M-Instruct"),
    pytest.mark.skipif(not EXPECTED.exists(), reason="the reference scores are not beside the repository"),
]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def mean_surprisals(engine: HuggingFaceEngine, turns: tuple[Turn, ...], texts: list[str]) -> list[float]:
    group = ScoringGroup(engine.encode_context(turns), tuple(engine.encode_response(text) for text in texts))
    results = engine.score([group])[0]
    assert all(isinstance(result, TokenScores) for result in results)
    return [
        -float(result.log_probability.mean(dtype="float64")) for result in results if isinstance(result, TokenScores)
    ]


def test_sap_ppl_and_nll_agree_with_the_reference() -> None:
    engine = engine_of(Path(MODEL))
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    strategies = [name for name in expected if name != "about"]
    rows = {name: read(RESPONSES / f"{name}.jsonl") for name in strategies}
    positions = {row["question"]: place for place, row in enumerate(rows[strategies[0]])}
    pool = [
        Prediction(row["response"], positions.get(row["question"]))
        for row in read(RESPONSES / "initial_predictions.qwen.jsonl")
    ]
    template = load_template()
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for place in range(QUESTIONS):
        question = (Turn("user", rows[strategies[0]][place]["question"]),)
        aligned = self_aligned_turns(question, in_context_examples(place, place, pool, 2), template)
        texts = [rows[name][place]["response"] for name in strategies]
        for name, plain in zip(strategies, mean_surprisals(engine, question, texts), strict=True):
            sums[name, "nll"] += plain / QUESTIONS
            sums[name, "ppl"] += math.exp(plain) / QUESTIONS
        for name, own in zip(strategies, mean_surprisals(engine, aligned, texts), strict=True):
            sums[name, "sap"] += math.exp(own) / QUESTIONS
    for (name, metric), value in sums.items():
        assert value == pytest.approx(expected[name][metric], rel=1e-4), (name, metric)


@pytest.mark.parametrize("tier", ["packed cascade", "shared cache"])
def test_every_way_of_computing_agrees_with_one_by_one(tier: str) -> None:
    """Float32: 1e-4 nats a token, 2e-5 a response's mean."""
    strategies = sorted(path.stem for path in RESPONSES.glob("*.jsonl") if "predictions" not in path.stem)
    rows = [read(RESPONSES / f"{name}.jsonl")[0] for name in strategies]
    engine, reference = engine_of(Path(MODEL), tier=tier), engine_of(Path(MODEL), tier="one by one")
    group = ScoringGroup(
        engine.encode_context((Turn("user", rows[0]["question"]),)),
        tuple(engine.encode_response(row["response"]) for row in rows),
    )
    assert (engine.tier, reference.tier) == (tier, "one by one")
    for own, true in zip(engine.score([group])[0], reference.score([group])[0], strict=True):
        assert isinstance(own, TokenScores)
        assert isinstance(true, TokenScores)
        difference = own.log_probability.astype("float64") - true.log_probability
        assert abs(difference).max() <= 1e-4
        assert abs(difference.mean()) <= 2e-5
