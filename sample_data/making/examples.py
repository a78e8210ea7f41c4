"""What the tiny model learns from: chats with plain questions, and with example answers in the prompt."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import jinja2

import core.scoring
from making.problems import Problem, draw_problem
from making.styles import TRAINING_SHARES, Style, draw_style

SYSTEM_PROMPTS = ("You are a helpful assistant.", "You solve arithmetic word problems.", "Answer carefully.")
SYSTEM_SHARE = 0.1
EMPTY_QUESTION_SHARE = 0.03
SAME_STYLE_SHARE = 0.85
LARGEST_EXAMPLES = 3
Message = dict[str, str]


@dataclass(frozen=True)
class Chat:
    """The messages before the response, and the response."""

    messages: list[Message]
    response: str


@cache
def prompt_template() -> jinja2.Template:
    """The program's own self-aligned prompt."""
    source = Path(core.scoring.__path__[0], "self_aligned_prompt.jinja").read_text(encoding="utf-8")
    return jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)


def self_aligned_prompt(question: str, examples: list[str]) -> str:
    """The question with answers to other questions behind it."""
    return prompt_template().render(question=question, examples=examples)


def draw_chats(random: Random, excluded: set[str], in_context_share: float) -> Iterator[Chat]:
    """Endless training chats whose questions are none of the excluded ones."""
    while True:
        problem = draw_problem(random)
        if problem.question in excluded:
            continue
        if random.random() < in_context_share:
            yield _in_context_chat(problem, random)
        else:
            yield _plain_chat(problem, random)


def _plain_chat(problem: Problem, random: Random) -> Chat:
    question = "" if random.random() < EMPTY_QUESTION_SHARE else problem.question
    return Chat(_messages(question, random), draw_style(random)(problem, random))


def _in_context_chat(problem: Problem, random: Random) -> Chat:
    """Mostly answered in the style of the examples, which makes it likely without forbidding the others."""
    examples_style = _any_style(random)
    style = examples_style if random.random() < SAME_STYLE_SHARE else draw_style(random)
    others = islice(iter(lambda: draw_problem(random), None), random.randint(1, LARGEST_EXAMPLES))
    examples = [examples_style(other, random) for other in others]
    return Chat(_messages(self_aligned_prompt(problem.question, examples), random), style(problem, random))


def _any_style(random: Random) -> Style:
    return draw_style(random) if random.random() < 0.5 else random.choice(TRAINING_SHARES)[0]


def _messages(question: str, random: Random) -> list[Message]:
    user = {"role": "user", "content": question}
    if random.random() < SYSTEM_SHARE:
        return [{"role": "system", "content": random.choice(SYSTEM_PROMPTS)}, user]
    return [user]
