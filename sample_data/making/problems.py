"""Arithmetic word problems drawn from the templates, with every calculation on the way to the answer."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from random import Random

from making.templates import CONTAINERS, NAMES, TEMPLATES, THINGS, Template

LARGEST_RESULT = 100
LETTERS = "abc"
ERRORS = (-10, -2, -1, 1, 2, 10)


@dataclass(frozen=True)
class Calculation:
    """One step: what it finds, and `left sign right = result`; `previous` names the side that is the result before."""

    label: str
    left: int
    sign: str
    right: int
    previous: str
    result: int


@dataclass(frozen=True)
class Problem:
    """A question with its calculations in order; the last result is the answer, counted in `unit`."""

    question: str
    unit: str
    calculations: tuple[Calculation, ...]

    @property
    def answer(self) -> int:
        return self.calculations[-1].result


def calculate(left: int, sign: str, right: int) -> int | None:
    """The result of one calculation, or None where it is no whole number between 1 and LARGEST_RESULT."""
    if sign == "/" and left % right:
        return None
    result = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[sign]
    return result if 1 <= result <= LARGEST_RESULT else None


def draw_problem(random: Random) -> Problem:
    """One problem: a template, its words and numbers for which every step comes out whole and positive."""
    template = random.choice(TEMPLATES)
    name, friend = random.sample(NAMES, 2)
    words = {"name": name, "friend": friend, "things": random.choice(THINGS), "containers": random.choice(CONTAINERS)}
    while True:
        numbers = {letter: random.randint(*limits) for letter, limits in zip(LETTERS, template.ranges, strict=False)}
        calculations = _calculations(template, words, numbers)
        if calculations is not None:
            question = template.question.format(**words, **numbers)
            return Problem(question, template.unit.format(**words), calculations)


def draw_problems(random: Random, excluded: Collection[str] = ()) -> Iterator[Problem]:
    """Endless problems with questions that differ from each other and from the excluded ones."""
    seen = set(excluded)
    while True:
        problem = draw_problem(random)
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem


def with_wrong_result(problem: Problem, random: Random) -> Problem:
    """The problem with one miscalculated step and a wrong answer: the steps behind it go on from the wrong number."""
    while True:
        wrong_step = random.randrange(len(problem.calculations))
        error = random.choice(ERRORS)
        calculations = _with_error(problem.calculations, wrong_step, error)
        if calculations is not None:
            return replace(problem, calculations=calculations)


def _with_error(calculations: tuple[Calculation, ...], wrong_step: int, error: int) -> tuple[Calculation, ...] | None:
    changed: list[Calculation] = []
    for number, step in enumerate(calculations):
        if step.previous == "left":
            step = replace(step, left=changed[-1].result)
        elif step.previous == "right":
            step = replace(step, right=changed[-1].result)
        result = calculate(step.left, step.sign, step.right)
        if result is not None and number == wrong_step:
            result += error
        if result is None or result < 1:
            return None
        changed.append(replace(step, result=result))
    return tuple(changed)


def _calculations(template: Template, words: dict[str, str], numbers: dict[str, int]) -> tuple[Calculation, ...] | None:
    values = dict(numbers)
    calculations = []
    for label, expression in template.steps:
        left, sign, right = expression.split()
        result = calculate(values[left], sign, values[right])
        if result is None:
            return None
        previous = "left" if left == "x" else "right" if right == "x" else ""
        calculations.append(
            Calculation(label.format(**words, **numbers), values[left], sign, values[right], previous, result)
        )
        values["x"] = result
    return tuple(calculations)
