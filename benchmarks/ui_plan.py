"""Which keys are pressed in which screen, and what must stand there afterwards."""

from __future__ import annotations

from dataclasses import dataclass

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Keys that all change something on the screen, and the words that stand there after the last of them."""

    keys: Keys
    shows: Keys


@dataclass(frozen=True, slots=True)
class ScreenPlan:
    """A screen, reached by `opening` from the catalogue with its cursor on the first row, and left by `closing`.

    The parts begin and end alike, so that they can be gone through again. `watched` is how long the screen is looked
    at first, to learn which of its cells change by themselves.
    """

    name: str
    opening: tuple[Part, ...]
    parts: tuple[Part, ...]
    closing: tuple[Part, ...] = ()
    watched: float = 1.2
    by_background: bool = False

    @property
    def keys(self) -> int:
        """How many keys all parts together have."""
        return sum(len(part.keys) for part in self.parts)


def moves(key: str, count: int, *shows: str) -> Part:
    return Part((key,) * count, shows)


def to_and_fro(there: str, back: str, count: int, far: str, near: str) -> tuple[Part, Part]:
    return moves(there, count, far), moves(back, count, near)


MARKED = Part(("space",), ("1 marked",))
TO_STRATEGY = Part(("g", "down", "down", "down", "down"), ("─ step_by_step ─",))
TO_RESPONSES = (TO_STRATEGY, Part(("enter",), ("200 responses · scores of run 1", "─ Response 1 ─")))
TO_OUTCOMES = Part(("4",), ("regret", "outcome  below best"))
TO_OUTCOMES_VIEW = Part(("v",), ("outcome  below best",))
AGREEMENT = Part(("v",), ("first by",))
CONVERGENCE = Part(("v",), ("leads by", "in the order of the run"))
TO_CATALOGUE = Part(("escape",), ("2 tasks, 12 strategies",))
ROWS = ("2 tasks, 12 strategies", "equation_first", "q Quit")
HOME = Part(("1", "g"), ("2 tasks, 12 strategies", "─ arithmetic ─"))

THROUGH_THE_OUTCOMES = to_and_fro("down", "up", 5, "─ terse ─", "─ step_by_step ─")

SCREENS = (
    ScreenPlan(
        "catalogue",
        (),
        (
            *to_and_fro("down", "up", 7, "─ long ─", "─ arithmetic ─"),
            *to_and_fro("j", "k", 4, "─ step_by_step ─", "─ arithmetic ─"),
            *to_and_fro("G", "g", 1, "─ wrong_answers ─", "─ arithmetic ─"),
            *to_and_fro("pagedown", "pageup", 1, "─ wrong_answers ─", "─ arithmetic ─"),
            Part(("a",), ("12 marked",)), Part(("a",), ("12 strategies ─",)),
            Part(("S", "down"), ("─ wrong_answers ─",)), Part(("S", "g", "down", "up"), ("─ arithmetic ─",)),
        ),
    ),
    ScreenPlan(
        "responses",
        TO_RESPONSES,
        (
            *to_and_fro("down", "up", 6, "─ Response 7 ─", "─ Response 1 ─"),
            *to_and_fro("pagedown", "pageup", 8, "─ Response 1", "─ Response 1 ─"),
            *to_and_fro("G", "g", 1, "─ Response 200 ─", "─ Response 1 ─"),
            MARKED, Part(("up", "space", "up"), ("scores of run 1 ─", "─ Response 1 ─")),
        ),
        (TO_CATALOGUE,),
    ),
    ScreenPlan(
        "sample",
        (*TO_RESPONSES, Part(("enter",), ("entropy", "token 1 of")), Part(("w",), ("token 1 of",))),
        (
            moves("right", 6, "token 7 of"), moves("w", 4, "nats"), moves("W", 4, "token 1 of"),
            *to_and_fro("#", "#", 1, "nats", "nats"),
            Part(("tab",), ("token 1 of",)),
            *to_and_fro("down", "up", 6, "token 7 of", "token 1 of"),
            Part(("tab",), ("token 1 of",)),
        ),
        (Part(("escape",), ("200 responses · scores of run 1",)), TO_CATALOGUE),
    ),
    ScreenPlan(
        "new run form",
        (Part(("n",), ("New run", "The same from a shell", "6 strategies on 50")),),
        (
            Part(tuple("-large"), ("tiny-model-large",)), Part(("backspace",) * 6, ("tiny-model ",)),
            Part(("tab",) * 5, ("New run",)), Part(("shift+tab",) * 5, ("New run",)),
        ),
        (TO_CATALOGUE,),
    ),
    ScreenPlan(
        "import form",
        (Part(("i",), ("Import responses", "the layout is")),),
        (
            Part(tuple("responses.jsonl"), ("responses.jsonl",)), Part(("backspace",) * 15, ("one file is one",)),
            Part(("tab",) * 4, ("Import responses",)), Part(("shift+tab",) * 4, ("Import responses",)),
        ),
        (TO_CATALOGUE,),
    ),
    ScreenPlan(
        "live",
        (Part(("2",), ("Events", "scoring")), Part(("g",), ("─ Run 12 ─",))),
        (
            *to_and_fro("down", "up", 8, "─ Run 4 ─", "─ Run 12 ─"),
            *to_and_fro("G", "g", 1, "─ Run 1 ─", "─ Run 12 ─"),
            *to_and_fro("pagedown", "pageup", 1, "─ Run 1 ─", "─ Run 12 ─"),
            *to_and_fro("z", "z", 1, "─ Run 12 ─", "Events"),
        ),
        (),
        5.0,
        True,
    ),
    ScreenPlan(
        "ranking",
        (Part(("3",), ("P(best)", "questions by sap", "─ step_by_step ─")),),
        (
            *to_and_fro("down", "up", 5, "─ terse ─", "─ step_by_step ─"),
            *to_and_fro("G", "g", 1, "─ terse ─", "─ step_by_step ─"),
            Part(("m",), ("questions by ppl",)), Part(("m",), ("questions by nll",)),
            Part(("m",), ("questions by sap",)),
        ),
    ),
    ScreenPlan(
        "compare",
        (
            Part(("3",), ("P(best)", "questions by sap")), Part(("g", "down"), ("─ chatty ─",)),
            Part(("c",), ("A better on", "B chatty", "token 1 of")),
        ),
        (
            *to_and_fro("n", "N", 5, "token", "token"),
            moves("right", 6, "token 7 of"), moves("w", 4, "nats"), moves("W", 3, "token 1 of"),
            *to_and_fro("#", "#", 1, "nats", "nats"),
            Part(("tab",), ("B ‘",)), Part(("tab",), ("A step_by_step",)), Part(("tab",), ("A ‘",)),
        ),
        (Part(("escape",), ("P(best)",)),),
    ),
    ScreenPlan(
        "outcomes",
        (TO_OUTCOMES,),
        (
            *THROUGH_THE_OUTCOMES, Part(("m",), ("ppl picks",)),
            *THROUGH_THE_OUTCOMES, Part(("m",), ("nll picks",)),
            *THROUGH_THE_OUTCOMES, moves("m", 9, "sap picks"),
        ),
    ),
    ScreenPlan(
        "agreement",
        (TO_OUTCOMES, AGREEMENT),
        (*to_and_fro("down", "up", 8, "─ rsr ─", "─ sap ─"), *to_and_fro("right", "left", 3, "metric", "metric")),
        (CONVERGENCE, TO_OUTCOMES_VIEW),
    ),
    ScreenPlan(
        "convergence",
        (TO_OUTCOMES, AGREEMENT, CONVERGENCE),
        (*to_and_fro("down", "up", 5, "─ terse ─", "step_by_step"),),
        (TO_OUTCOMES_VIEW,),
    ),
    ScreenPlan(
        "settings",
        (Part((",",), ("Settings", "theme")),),
        (Part(("tab",) * 8, ("Settings",)), Part(("shift+tab",) * 8, ("Settings",))),
        (TO_CATALOGUE,),
    ),
    ScreenPlan(
        "help",
        (Part(("?",), ("Help: catalogue",)),),
        (*to_and_fro("down", "up", 6, "Help: catalogue", "Keys here"),),
        (TO_CATALOGUE,),
    ),
    ScreenPlan(
        "command palette",
        (Part((":",), ("Search for commands",)),),
        (
            Part(tuple("rank"), ("Show the ranking",)), Part(("down", "up"), ("Show the ranking",)),
            Part(("backspace",) * 4, ("Search for commands",)), *to_and_fro("down", "up", 6, "Import", "Import"),
        ),
        (TO_CATALOGUE,),
    ),
)  # fmt: skip
