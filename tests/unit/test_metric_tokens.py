"""Metrics made of tokens, from a real model's scores, against a forward pass that shares no code with the engine."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.domain import ContextKind, TokenScores, Turn
from core.metrics.base import ResponseTokens, SampleScore, ScoreArrays
from core.metrics.registry import metric
from core.scoring.protocol import ScoringGroup
from core.store.scores import clipped_rank_sum, nll_sum
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import engine_of

QUESTION = "Tom has 3 apples and buys 4 more. How many has he?"
RESPONSES = (
    "Tom starts with 3 apples. He buys 4 more. 3 + 4 = 7.\nFinal Answer: 7",
    "Let us see. What do we add? We add 3 and 4.\n\n- 3\n- 4\n\nThe sum is 7. \U0001f34e Final Answer: 7",
    "  7 apples,\r\n\tbecause 3 + 4 = 7!  Is that all? Yes. Naïve, isn't it? Final Answer: 7\n",
)


@cache
def independent() -> list[dict[str, Any]]:
    """Per response the surprisals, squared errors and ranks of the tokens, and their places in the text."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL)
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL, dtype=torch.float32).eval()
    chat = [{"role": "user", "content": QUESTION}]
    context = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
    found = []
    for text in RESPONSES:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = encoded["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([context + ids])).logits[0, len(context) - 1 : -1].double()
        distribution = logits.softmax(-1)
        own = distribution[torch.arange(len(ids)), torch.tensor(ids)]
        target = torch.nn.functional.one_hot(torch.tensor(ids), logits.shape[-1])
        found.append(
            {
                "surprisal": -own.log().numpy(),
                "squared_error": ((target - distribution) ** 2).sum(-1).numpy(),
                "rank": 1 + (distribution > own[:, None]).sum(-1).numpy(),
                "spans": encoded["offset_mapping"],
            }
        )
    return found


@cache
def scored() -> tuple[ScoreArrays, list[ResponseTokens]]:
    engine = engine_of(TINY_MODEL)
    group = ScoringGroup(
        engine.encode_context([Turn("user", QUESTION)]), tuple(map(engine.encode_response, RESPONSES)), detail=True
    )
    samples, responses = [], []
    for text, one in zip(RESPONSES, engine.score([group])[0], strict=True):
        assert isinstance(one, TokenScores)
        rows = [one.rank, one.entropy, one.sum_of_squares]
        ends = np.array(engine.token_ends(text))
        responses.append(
            ResponseTokens(text, *(np.asarray(row, dtype=float) for row in [-one.log_probability, *rows]), ends)
        )
        samples.append(SampleScore(text, 0, ContextKind.PLAIN, one.tokens, nll_sum(one), clipped_rank_sum(one)))
    arrays = ScoreArrays.collect(RESPONSES, (0,), samples)
    values = {name: np.array([[metric(name).token_value(one)] for one in responses]) for name in ("lark", "aslec_drop")}
    return ScoreArrays(arrays.strategies, arrays.questions, arrays.contexts, token_values=values), responses


def test_lark_is_made_of_the_squared_error_of_the_prediction() -> None:
    arrays, _ = scored()
    errors = np.array([one["squared_error"].mean() for one in independent()])
    surprisals = np.array([one["surprisal"].mean() for one in independent()])
    np.testing.assert_allclose(arrays.token_value("lark")[:, 0], errors, rtol=1e-5)
    ratio = errors.sum() / surprisals.sum()
    expected = (2 * errors - surprisals * ratio) / surprisals.sum()
    np.testing.assert_allclose(metric("lark").contributions(arrays).numerator[:, 0], expected, rtol=1e-4)


def test_rank_surprisal_ratio() -> None:
    arrays, _ = scored()
    for row, one in enumerate(independent()):
        found = metric("rsr").contributions(arrays)
        assert found.numerator[row, 0] == pytest.approx(np.minimum(one["rank"], 100).mean(), rel=1e-3)
        assert found.denominator[row, 0] == pytest.approx(one["surprisal"].mean(), rel=1e-5)


@pytest.mark.parametrize("row", range(len(RESPONSES)))
def test_step_skipping_by_the_spans_of_the_tokenizer(row: int) -> None:
    """Every step is found as a match; its tokens are those whose span meets it."""
    arrays, responses = scored()
    one, text = independent()[row], RESPONSES[row]
    dropped: set[int] = set()
    places = [0] + [found.end() for found in re.finditer(r"[.?] |\n|\r", text)] + [len(text)]
    for begin, end in pairwise(places):
        step = text[begin:end]
        first_letter = begin + len(step) - len(step.lstrip())
        if step.strip():
            first = next(t for t, (_, behind) in enumerate(one["spans"]) if behind > first_letter)
            dropped |= {first, first + 1}
    kept = [-value for place, value in enumerate(one["surprisal"]) if place not in dropped]
    assert 0 < len(kept) < len(one["surprisal"])
    assert arrays.token_value("aslec_drop")[row, 0] == pytest.approx(np.mean(kept), rel=1e-5)
    assert responses[row].ends is not None
    assert responses[row].ends[-1] == len(text)
