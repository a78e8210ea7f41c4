"""Every metric again in plain Python, one response at a time, from its definition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

Number = float | None
Table = list[list[Number]]


@dataclass(frozen=True)
class Token:
    surprisal: float
    rank: int
    sum_of_squares: float
    piece: str


@dataclass(frozen=True)
class Response:
    """Tokens behind the question, the sum of surprisals alone (None: no score), and the rest by name."""

    tokens: tuple[Token, ...]
    alone: Number
    given: dict[str, Number] = field(default_factory=dict)

    @property
    def plain(self) -> float:
        return mean(token.surprisal for token in self.tokens)

    @property
    def mean_alone(self) -> Number:
        return None if self.alone is None else self.alone / len(self.tokens)


@dataclass(frozen=True)
class World:
    """Responses by strategy and question (None: not scored), L of the own predictions and of the valid set."""

    responses: list[list[Response | None]]
    own: list[Number]
    valid: list[Number]

    def table(self, value: Callable[[Response], Number]) -> Table:
        return [[None if one is None else value(one) for one in row] for row in self.responses]

    def given(self, name: str) -> Table:
        return self.table(lambda one: one.given[name])

    def everywhere(self, question: int) -> bool:
        """Every strategy that was scored at all was scored on the question."""
        compared = [row for row in self.responses if any(one is not None for one in row)]
        return all(row[question] is not None for row in compared)


def steps_dropped(pieces: Sequence[str]) -> list[bool]:
    """Marks tokens that hold the first visible character of a step, and those behind them."""
    text = "".join(pieces)
    owner = [place for place, piece in enumerate(pieces) for _ in piece]
    dropped = [False] * len(pieces)
    fresh = True
    for position, character in enumerate(text):
        if fresh and not character.isspace():
            for place in (owner[position], owner[position] + 1):
                if place < len(dropped):
                    dropped[place] = True
            fresh = False
        if character == "\n" or (character == " " and position and text[position - 1] in ".?"):
            fresh = True
    return dropped


def aslec_drop(response: Response) -> Number:
    dropped = steps_dropped([token.piece for token in response.tokens])
    kept = [-token.surprisal for token, out in zip(response.tokens, dropped, strict=True) if not out]
    return mean(kept) if kept else None


def grape_share(world: World) -> Table:
    table: Table = [[None] * len(row) for row in world.responses]
    for question in range(len(table[0])):
        if world.everywhere(question):
            present = [(row[question], place) for place, row in enumerate(world.responses) if row[question]]
            winner = min(present, key=lambda pair: (pair[0].plain, pair[1]))[1]
            for _, place in present:
                table[place][question] = float(place == winner)
    return table


def squared_error(response: Response) -> float:
    return mean(1 - 2 * math.exp(-token.surprisal) + token.sum_of_squares for token in response.tokens)


def lark(world: World) -> Table:
    table: Table = [[None] * len(row) for row in world.responses]
    for question in range(len(table[0])):
        if world.everywhere(question):
            present = [(place, row[question]) for place, row in enumerate(world.responses) if row[question]]
            all_b = sum(squared_error(one) for _, one in present)
            all_l = sum(one.plain for _, one in present)
            for place, one in present:
                table[place][question] = (2 * squared_error(one) - one.plain * all_b / all_l) / all_l
    return table


def ds_weight(world: World, response: Response) -> float:
    ratio = mean(value for value in world.valid if value is not None) / response.plain
    return max(ratio, 1 / ratio)


def less(first: Number, second: Number) -> Number:
    return None if first is None or second is None else first - second


def numerators(world: World) -> dict[str, Table]:
    """By metric id; a mean or median over them is the score, except for the ratios in `denominators`."""
    lowest, highest = _reward_ends(world)
    by_response: dict[str, Callable[[Response], Number]] = {
        "nll": lambda one: one.plain,
        "ppl": lambda one: math.exp(one.plain),
        "rsr": lambda one: mean(min(token.rank, 100) for token in one.tokens) if len(one.tokens) >= 8 else None,
        "ifd": lambda one: None if one.mean_alone is None else one.plain / one.mean_alone,
        "ifd_ppl": lambda one: None if one.mean_alone is None else math.exp(one.plain) / math.exp(one.mean_alone),
        "aslec_drop": aslec_drop,
        "ds_weight": lambda one: ds_weight(world, one),
        "ds_weight_bias": lambda one: math.log(one.plain / mean(v for v in world.valid if v is not None)),
        "self_consistency": lambda one: one.given["target_vote"],
        "strategy_vote": lambda one: one.given["strategy_vote"],
        "reward": lambda one: one.given["reward"],
        "car": lambda one: one.given["reward"],
        "car_shifted": lambda one: (
            None if one.given["reward"] is None else one.given["reward"] - lowest + 0.01 * (highest - lowest)
        ),
        "learnability": lambda one: less(one.given["small"], one.plain),
        "response_tokens": lambda one: float(len(one.tokens)),
        "response_accuracy": lambda one: one.given["correct"],
    }
    margins: Table = [
        [None if one is None else less(own, one.plain) for one, own in zip(row, world.own, strict=True)]
        for row in world.responses
    ]
    tables = {name: world.table(value) for name, value in by_response.items()}
    return tables | {"grape_share": grape_share(world), "lark": lark(world), "self_margin": margins}


def denominators(world: World) -> dict[str, Table]:
    surprisal = world.table(lambda one: one.plain)
    adjusted = world.table(lambda one: 1 + 3 * one.plain)
    return {"rsr": surprisal, "car": adjusted, "car_shifted": adjusted}


def score(world: World, name: str, row: int) -> Number:
    """A strategy's score from all the questions that it has a value on; None without any."""
    above, below = numerators(world)[name][row], denominators(world).get(name, [None] * (row + 1))[row]
    if below is not None:
        pairs = [(x, y) for x, y in zip(above, below, strict=True) if x is not None and y is not None]
        return sum(x for x, _ in pairs) / sum(y for _, y in pairs) if pairs else None
    known = [value for value in above if value is not None]
    if not known:
        return None
    return median(known) if name == "ds_weight" else mean(known)


def _reward_ends(world: World) -> tuple[float, float]:
    known = [value for row in world.given("reward") for value in row if value is not None]
    return min(known), max(known)
