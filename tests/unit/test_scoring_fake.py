"""The engine without a model: deterministic numbers and faults on order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.domain import SampleError, TokenScores, Turn
from core.errors import UsageError
from core.scoring.answers import is_correct
from core.scoring.fake import ENVIRONMENT_VARIABLE, EXIT_TEMPORARY, FakeEngine, FakeRewardModel, Faults
from core.scoring.protocol import Engine, Generation, Sampling, ScoringGroup

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = (Turn("user", "How many?"),)


def group(engine: Engine, *texts: str, detail: bool = True) -> ScoringGroup:
    return ScoringGroup(engine.encode_context(QUESTION), tuple(engine.encode_response(text) for text in texts), detail)


def test_scores_depend_on_context_and_response_only() -> None:
    engine, other = FakeEngine(Faults()), FakeEngine(Faults())
    first, second = engine.score([group(engine, "one", "two")])[0]
    (again,) = other.score([group(other, "two")])[0]
    assert isinstance(first, TokenScores)
    assert isinstance(second, TokenScores)
    assert isinstance(again, TokenScores)
    np.testing.assert_array_equal(second.log_probability, again.log_probability)
    assert first.log_probability.dtype == np.float32
    assert not np.array_equal(first.log_probability, second.log_probability)
    assert first.rank is not None
    assert (first.rank >= 1).all()
    assert (first.log_probability <= 0).all()


def test_only_a_detailed_group_has_more_than_log_probabilities() -> None:
    engine = FakeEngine(Faults())
    (scores,) = engine.score([group(engine, "one", detail=False)])[0]
    assert isinstance(scores, TokenScores)
    assert scores.rank is None
    assert scores.tokens == 3


def test_sample_errors_on_order() -> None:
    engine = FakeEngine(Faults(nonfinite=("bad",), out_of_memory=("huge",), max_context_tokens=60))
    results = engine.score([group(engine, "", "so bad", "huge", "long" * 20, "fine")])[0]
    codes = [result.code if isinstance(result, SampleError) else "" for result in results]
    assert codes == ["empty", "nonfinite", "out_of_memory", "too_long", ""]


def test_generated_answers_end_with_a_number() -> None:
    engine = FakeEngine(Faults())
    context = engine.encode_context(QUESTION)
    answers: list[tuple[int, Generation]] = []
    engine.generate([context], 100, answers.extend)
    engine.generate([context], 10, answers.extend)
    (_, answer), (_, cut) = answers
    assert answer.finished
    assert is_correct(answer.text, answer.text.rpartition(" ")[2])
    assert not cut.finished
    assert cut.token_ids == answer.token_ids[:10]


def test_most_seeds_give_the_greedy_answer_and_some_another() -> None:
    engine = FakeEngine(Faults())
    context = engine.encode_context(QUESTION)

    def answers(sampling: Sampling | None, count: int) -> list[str]:
        found: list[tuple[int, Generation]] = []
        engine.generate([context] * count, 100, found.extend, sampling=sampling)
        return [answer.text for _, answer in found]

    (greedy,) = answers(None, 1)
    sampled = answers(Sampling(1.1, tuple(range(200))), 200)
    assert answers(Sampling(1.1, (7, 3)), 2) == [sampled[7], sampled[3]]
    assert 120 < sampled.count(greedy) < 190
    assert len(set(sampled)) == 2


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_a_number_above_0(temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        Sampling(temperature, (1,))


@pytest.mark.parametrize("text", ["", "plain", "naïve 世界 \U0001f600!", "e\u0301\r\n"])
def test_token_ends_count_characters_up_to_every_byte(text: str) -> None:
    engine = FakeEngine(Faults())
    raw = bytes(engine.encode_response(text))
    expected = tuple(len(raw[: place + 1].decode(errors="ignore")) for place in range(len(raw)))
    assert engine.token_ends(text) == expected


def test_rewards_are_positive_unless_shifted_and_fail_on_order() -> None:
    asked = [(QUESTION, text) for text in ("one", "two", "so bad", "long" * 20, "one")]
    first, second, bad, long, again = FakeRewardModel(Faults(nonfinite=("bad",), max_context_tokens=60)).rewards(asked)
    assert isinstance(first, float)
    assert isinstance(second, float)
    assert 0 < first < 1
    assert first == again != second
    assert [each.code for each in (bad, long) if isinstance(each, SampleError)] == ["nonfinite", "too_long"]
    (shifted, *_) = FakeRewardModel(Faults(reward_shift=-1.0)).rewards(asked)
    assert shifted == first - 1


@pytest.mark.parametrize("faults", [{"exit_75_at_group": 2}, {"exit_75_on": ["poison"]}])
def test_the_process_ends_on_order(faults: dict[str, object]) -> None:
    code = (
        "from core.domain import Turn; from core.scoring.fake import FakeEngine\n"
        "from core.scoring.protocol import ScoringGroup\n"
        "engine = FakeEngine()\n"
        "for text in ('fine', 'poison', 'never'):\n"
        "    print(text, flush=True)\n"
        "    engine.score([ScoringGroup((1,), (engine.encode_response(text),))])[0]\n"
    )
    environment = os.environ | {ENVIRONMENT_VARIABLE: json.dumps(faults)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_TEMPORARY, done.stderr
    assert done.stdout.split() == ["fine", "poison"]
