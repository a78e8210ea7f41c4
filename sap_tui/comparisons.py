"""Comparisons and samples for the screens, from `sap-tui compare` and `sap-tui show` in processes of their own."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sap_tui.twin import Answer, ask, option

MOST_QUESTIONS = 24


class NoComparison(str):
    """Why there is nothing to compare, for the user."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared: two strategies of a run, by a metric (None: the run's first)."""

    run: int
    a: str
    b: str
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The T tokens of a response behind a context; `ends` None where their places in the text are not known."""

    context: str
    ends: Sequence[int] | None
    surprisal: Sequence[float]
    probability: Sequence[float]
    rank: Sequence[int] | None
    entropy: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class ShownSample:
    """One strategy's response to a question, as `show` prints it."""

    strategy: str
    text: str
    right: bool | None
    scores: tuple[Mapping[str, Any], ...]
    tokens: Tokens | None
    notes: tuple[str, ...]

    @property
    def mean_nll(self) -> float | None:
        """L behind the context whose tokens are shown, nats."""
        wanted = self.tokens.context if self.tokens else None
        return next((score["mean_nll"] for score in self.scores if score["context"] == wanted), None)


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A question with the responses of one strategy or two."""

    position: int
    key: str | None
    turns: tuple[tuple[str, str], ...]
    answer: str | None
    samples: tuple[ShownSample, ...]


def question_from_json(text: str) -> ShownQuestion:
    """The question whose JSON object `show --json` or `compare --question --json` printed."""
    found = json.loads(text)
    question = found["question"]
    return ShownQuestion(
        position=question["position"],
        key=question["key"],
        turns=tuple((turn["role"], turn["content"]) for turn in question["turns"]),
        answer=question["answer"],
        samples=tuple(_sample(each) for each in found["samples"]),
    )


def _sample(found: Mapping[str, Any]) -> ShownSample:
    tokens = found["tokens"]
    return ShownSample(
        strategy=found["strategy"],
        text=found["text"],
        right=found["right"],
        scores=tuple(found["scores"]),
        tokens=None if tokens is None else _tokens(tokens),
        notes=tuple(found["notes"]),
    )


def _tokens(found: Mapping[str, Any]) -> Tokens:
    return Tokens(
        context=found["context"],
        ends=None if found["ends"] is None else array("l", found["ends"]),
        surprisal=array("d", found["surprisal"]),
        probability=array("d", found["probability"]),
        rank=None if found["rank"] is None else array("l", found["rank"]),
        entropy=None if found["entropy"] is None else array("d", found["entropy"]),
    )


async def compared(catalogue: Path, pair: Pair) -> Mapping[str, Any] | NoComparison:
    """The JSON object of `sap-tui compare`."""
    by = option("by", pair.metric) if pair.metric else []
    answer = await ask(catalogue, "compare", "--json", *by, "--", str(pair.run), pair.a, pair.b)
    if answer.code:
        return NoComparison(answer.problem)
    found: Mapping[str, Any] = await asyncio.to_thread(json.loads, answer.stdout)
    return found


class Questions:
    """Questions with the responses of some strategies of a run, read once each, the last ones kept."""

    def __init__(self, catalogue: Path, run: int, strategies: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._run = run
        self._strategies = tuple(strategies)
        self._reading: OrderedDict[tuple[int, str], asyncio.Task[ShownQuestion | NoComparison]] = OrderedDict()

    def known(self, position: int, context: str) -> ShownQuestion | NoComparison | None:
        """What was read of the task's question at this position, from 1."""
        task = self._reading.get((position, context))
        return task.result() if task is not None and task.done() and not task.cancelled() else None

    async def get(self, position: int, context: str) -> ShownQuestion | NoComparison:
        """The question, from memory or from a process; one that was asked for already is waited for."""
        key = position, context
        if key not in self._reading or self._reading[key].cancelled():
            self._reading[key] = asyncio.create_task(self._read(position, context))
        self._reading.move_to_end(key)
        while len(self._reading) > MOST_QUESTIONS:
            self._reading.popitem(last=False)[1].cancel()
        return await asyncio.shield(self._reading[key])

    def stop(self, but: Sequence[int] = ()) -> None:
        """End the processes of questions that nobody waits for any more."""
        for (position, _), task in self._reading.items():
            if position not in but and not task.done():
                task.cancel()

    async def _read(self, position: int, context: str) -> ShownQuestion | NoComparison:
        answer = await self._ask(position, option("context", context.replace("_", "-")))
        if answer.code:
            return NoComparison(answer.problem)
        return await asyncio.to_thread(question_from_json, answer.stdout)

    async def _ask(self, position: int, context: list[str]) -> Answer:
        place, run = f"#{position}", str(self._run)
        if len(self._strategies) == 1:
            return await ask(self._catalogue, "show", "--json", *context, "--", run, *self._strategies, place)
        named = option("question", place)
        return await ask(self._catalogue, "compare", "--json", *named, *context, "--", run, *self._strategies)
