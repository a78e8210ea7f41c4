"""The strategy files: the same questions in each, one JSON object a line."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random

from making import styles
from making.problems import Problem, draw_problems, with_wrong_result

QUESTIONS = 200
TEST_QUESTIONS = 400
WRONG_SHARE = 0.6
STRATEGIES = ("terse", "step_by_step", "equation_first", "chatty", "other_vocabulary", "wrong_answers")


def sample_problems(seed: int) -> list[Problem]:
    """The problems of the sample task, in task order."""
    return list(islice(draw_problems(Random(f"{seed} sample")), QUESTIONS))


def test_problems(seed: int) -> list[Problem]:
    """Further problems that measure accuracy before and after fine-tuning; none is in the sample task."""
    sample = {problem.question for problem in sample_problems(seed)}
    return list(islice(draw_problems(Random(f"{seed} test"), sample), TEST_QUESTIONS))


def held_out_questions(seed: int) -> set[str]:
    """Every question that the tiny model must not meet in training."""
    return {problem.question for problem in sample_problems(seed) + test_problems(seed)}


def responses(strategy: str, problems: list[Problem], seed: int) -> list[str]:
    """The strategy's response to every problem."""
    random = Random(f"{seed} {strategy}")
    if strategy == "wrong_answers":
        return _wrong_answers(problems, random)
    style: styles.Style = getattr(styles, strategy)
    return [style(problem, random) for problem in problems]


def _wrong_answers(problems: list[Problem], random: Random) -> list[str]:
    """The step-by-step style, with a miscalculated step in WRONG_SHARE of the responses."""
    wrong = set(random.sample(range(len(problems)), round(WRONG_SHARE * len(problems))))
    return [
        styles.step_by_step(with_wrong_result(problem, random) if number in wrong else problem, random)
        for number, problem in enumerate(problems)
    ]


def write_strategies(folder: Path, seed: int) -> None:
    """Writes FOLDER/STRATEGY.jsonl for every strategy."""
    folder.mkdir(parents=True, exist_ok=True)
    problems = sample_problems(seed)
    for strategy in STRATEGIES:
        rows = _rows(problems, responses(strategy, problems, seed))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{strategy}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def _rows(problems: list[Problem], texts: list[str]) -> Iterable[dict[str, str]]:
    for number, (problem, text) in enumerate(zip(problems, texts, strict=True), start=1):
        yield {
            "id": f"arithmetic-{number:03}",
            "question": problem.question,
            "response": text,
            "answer": str(problem.answer),
        }
