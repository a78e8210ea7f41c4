"""The ways of answering: the tiny model's own one and those of the sample strategies."""

from collections.abc import Callable
from random import Random

from making.problems import Calculation, Problem

Style = Callable[[Problem, Random], str]


def _equation(step: Calculation) -> str:
    return f"{step.left} {step.sign} {step.right} = {step.result}"


def _heading(label: str) -> str:
    words = label.removeprefix("the ")
    return words[0].upper() + words[1:]


def _ending(problem: Problem) -> str:
    return f"\nFinal Answer: {problem.answer}"


def _expression(problem: Problem) -> str:
    first = problem.calculations[0]
    inner = f"{first.left} {first.sign} {first.right}"
    if len(problem.calculations) == 1:
        return inner
    last = problem.calculations[1]
    return f"({inner}) {last.sign} {last.right}" if last.previous == "left" else f"{last.left} {last.sign} ({inner})"


def own(problem: Problem, random: Random) -> str:
    """The tiny model's own style: one labelled equation a line."""
    lines = [f"{_heading(step.label)}: {_equation(step)}." for step in problem.calculations]
    closing = random.choice(("So there are", "That makes", "So we get"))
    return "\n".join(lines) + f"\n{closing} {problem.answer} {problem.unit}." + _ending(problem)


def terse(problem: Problem, random: Random) -> str:
    """The result with hardly a word."""
    return random.choice((f"{problem.answer}.", f"{problem.answer} {problem.unit}.")) + _ending(problem)


def step_by_step(problem: Problem, random: Random) -> str:
    """Numbered steps that say what is looked for before they calculate it."""
    verb = random.choice(("Find", "Calculate", "Work out"))
    lines = [
        f"Step {number}: {verb} {step.label}. We have {_equation(step)}."
        for number, step in enumerate(problem.calculations, start=1)
    ]
    closing = random.choice(("The answer is", "The result is"))
    return "\n".join(lines) + f"\n{closing} {problem.answer} {problem.unit}." + _ending(problem)


def equation_first(problem: Problem, random: Random) -> str:
    """One equation for the whole question, reduced line by line, and words only behind it."""
    unknown = random.choice("xny")
    lines = [f"{unknown} = {_expression(problem)}"]
    if len(problem.calculations) == 2:
        last = problem.calculations[1]
        lines.append(f"{unknown} = {last.left} {last.sign} {last.right}")
    lines.append(f"{unknown} = {problem.answer}")
    lines.append(f"Here {unknown} stands for {problem.calculations[-1].label}.")
    return "\n".join(lines) + _ending(problem)


SIGNS_IN_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
GREETINGS = (
    "Great question!",
    "Sure, happy to help!",
    "Oh, I like this one!",
    "Okay, let me think!",
    "Hey there!",
    "Alright, a fun little puzzle!",
)
TURNS = (
    "Let's take it slowly.",
    "No worries, it is easier than it looks.",
    "We can do this together.",
    "Just a bit of counting.",
    "Ready? Here we go.",
)
STARTS = ("First up,", "To begin,", "So,", "Let's see,")
FOLLOWS = ("And then,", "After that,", "Now,", "Next,")
FAREWELLS = (
    "Hope that helps!",
    "Pretty neat, right?",
    "Let me know if you have more questions!",
    "That was fun!",
    "Easy once you see it!",
)


def chatty(problem: Problem, random: Random) -> str:
    """Small talk around calculations that are told in words."""
    told = [f"{random.choice(GREETINGS)} {random.choice(TURNS)}"]
    for number, step in enumerate(problem.calculations):
        start = random.choice(FOLLOWS if number else STARTS)
        sum_in_words = f"{step.left} {SIGNS_IN_WORDS[step.sign]} {step.right}"
        told.append(f"{start} for {step.label} we do {sum_in_words}, which gives us {step.result}.")
    told.append(f"So it is {problem.answer} {problem.unit}. {random.choice(FAREWELLS)}")
    return " ".join(told) + _ending(problem)


ELEVATED_SIGNS = {
    "+": ("augmented by", "in conjunction with", "supplemented with", "enlarged through"),
    "-": ("diminished by", "upon deduction of", "curtailed by", "less the subtrahend"),
    "*": ("multiplied by", "replicated by a factor of", "scaled by", "compounded with"),
    "/": ("apportioned into", "partitioned by", "distributed across", "over the divisor"),
}
ELEVATED_OPENINGS = (
    "We seek to ascertain",
    "The inquiry concerns",
    "It remains to establish",
    "Our objective is to quantify",
    "One must determine",
)
ELEVATED_VERBS = ("yields", "amounts to", "evaluates to", "produces", "furnishes", "is equivalent to")
ELEVATED_CLOSINGS = (
    "Consequently, the requisite quantity is",
    "Hence, the sum total equals",
    "Ergo, we obtain",
    "The tally therefore stands at",
    "Accordingly, the magnitude sought is",
)


def other_vocabulary(problem: Problem, random: Random) -> str:
    """The same calculations in elevated words that the tiny model seldom met."""
    told = [f"{random.choice(ELEVATED_OPENINGS)} {problem.calculations[-1].label}."]
    for step in problem.calculations:
        sign = random.choice(ELEVATED_SIGNS[step.sign])
        told.append(f"{step.left} {sign} {step.right} {random.choice(ELEVATED_VERBS)} {step.result}.")
    told.append(f"{random.choice(ELEVATED_CLOSINGS)} {problem.answer} {problem.unit}.")
    return " ".join(told) + _ending(problem)


# Style and share among the responses that the tiny model learns from.
TRAINING_SHARES: tuple[tuple[Style, float], ...] = (
    (own, 0.58),
    (step_by_step, 0.13),
    (equation_first, 0.12),
    (terse, 0.08),
    (chatty, 0.06),
    (other_vocabulary, 0.03),
)


def draw_style(random: Random) -> Style:
    """A style, as often as its training share says."""
    styles, shares = zip(*TRAINING_SHARES, strict=True)
    style: Style = random.choices(styles, shares)[0]
    return style
