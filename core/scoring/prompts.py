"""Self-aligned prompts: which of the model's own predictions stand in a question's context, and how it is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, permutations
from pathlib import Path

from jinja2 import Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from core.domain import Prediction, Turn, canonical_turns, digest
from core.errors import InputError, NotFoundError, SapError

DEFAULT_TEMPLATE = Path(__file__).with_name("self_aligned_prompt.jinja")
ALONE = (Turn("user", ""),)


def in_context_examples(
    position: int, own_question: int | None, pool: Sequence[Prediction], examples: int
) -> tuple[str, ...]:
    """Texts of the predictions that serve the question with this position in the task (from 0) as examples.

    Pool entries position + 1, position + 2, ... modulo the pool's length, without the question's own, until there are
    `examples` of them; fewer where the pool holds fewer others (arXiv 2502.11779, with the wrap mended).
    Raises SapError where the pool holds no other.
    """
    rotated = (pool[(position + step) % len(pool)] for step in range(1, len(pool) + 1))
    others = (entry.text for entry in rotated if own_question is None or entry.question != own_question)
    chosen = tuple(islice(others, examples))
    if not chosen and examples > 0:
        raise SapError(
            "There is no initial prediction of another question to serve as an example for self-aligned perplexity.",
            "Import some with `sap-tui predictions`, score more questions, or pass --no-answer-filter.",
        )
    return chosen


def orders_of(examples: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """At most `count` different orders of the examples, the one given first.

    The rotations come first, which put every example once in every place (position debiasing: arXiv 2401.01218).
    """
    rotations = ((*examples[start:], *examples[:start]) for start in range(len(examples)))
    found: dict[tuple[str, ...], None] = {}
    for order in chain(rotations, permutations(examples)):
        found.setdefault(order)
        if len(found) == count:
            break
    return list(found)


def self_aligned_turns(question: tuple[Turn, ...], examples: Sequence[str], template: Template) -> tuple[Turn, ...]:
    """p(q): the question's last turn replaced by the rendered template, earlier turns kept."""
    asking = question[-1]
    try:
        rendered = template.render(question=asking.content, examples=list(examples))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise SapError(f"The prompt template does not render: {error}", "Mend the template file.") from error
    return (*question[:-1], Turn(asking.role, rendered))


def load_template(text: str = "", name: str = "The prompt template") -> Template:
    """A template of the user's, or the program's own; it sees `question` and `examples` and runs in a sandbox.

    Raises InputError, with the name, where the text is no Jinja.
    """
    environment = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    try:
        return environment.from_string(text or DEFAULT_TEMPLATE.read_text(encoding="utf-8"))
    except TemplateError as error:
        raise InputError(f"{name}: {error}", "Mend the template; it is Jinja.") from error


def read_template(path: Path) -> str:
    """The text of a template file that was seen to work: it renders, and shows the question and every example.

    Raises NotFoundError, and InputError with what is wrong.
    """
    if not path.is_file():
        raise NotFoundError(f"Prompt template not found: {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", "Save the template as UTF-8.") from error
    marks = ("(the question)", "(one answer)", "(another answer)")
    (turn,) = self_aligned_turns((Turn("user", marks[0]),), marks[1:], load_template(text, str(path)))
    missing = [mark for mark in marks if mark not in turn.content]
    if missing:
        raise InputError(
            f"{path} does not show {missing[0]}.", "Use {{ question }} and {% for example in examples %} in it."
        )
    return text


def context_digest(turns: tuple[Turn, ...]) -> bytes:
    """What a score's context is known by: the digest of its turns."""
    return digest("context", canonical_turns(turns))
