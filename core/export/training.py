"""Questions with responses in the formats that common trainers read; texts byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain import Question, Turn
from core.errors import UsageError
from core.ingest.conversation import ASSISTANT, SYSTEM, USER
from core.text import visible

Row = dict[str, Any]
CONTAINERS = (".json", ".jsonl")
# Line breaks to some readers of JSON Lines; outside strings JSON has none of them.
_LINE_BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_SHAREGPT_ROLES = {USER: "human", ASSISTANT: "gpt", SYSTEM: "system"}


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A question with the response to learn; `strategy` only where samples of several stand in one file."""

    question: Question
    response: str
    strategy: str = ""


def training_rows(samples: Sequence[TrainingSample], layout: str) -> list[Row]:
    """One object a sample, all with the same keys but for missing gold answers.

    The layout is one of LAYOUTS. UsageError where it cannot hold a question's turns.
    """
    return LAYOUTS[layout](samples)


def training_text(rows: Sequence[Row], container: str) -> str:
    """The rows as JSON Lines (".jsonl") or as a JSON array (".json")."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False).translate(_LINE_BREAKS) for row in rows]
    return "".join(f"{line}\n" for line in lines) if container == ".jsonl" else "[\n" + ",\n".join(lines) + "\n]\n"


def alternates(question: Question) -> bool:
    """Whether the turns are an optional system turn and then user and assistant by turns, as some trainers demand."""
    turns = question.turns[1:] if question.turns[0].role == SYSTEM else question.turns
    return all(turn.role == (USER, ASSISTANT)[place % 2] for place, turn in enumerate(turns)) and len(turns) % 2 == 1


def _tidy(samples: Sequence[TrainingSample]) -> list[Row]:
    """id, question, response, answer, strategy; every question a list of turns where one has several."""
    as_text = all(_is_plain(sample.question) for sample in samples)
    ids = _ids(samples)
    return [
        {
            **ids[place],
            "question": sample.question.text if as_text else _messages_of(sample.question.turns),
            "response": sample.response,
            **({} if sample.question.answer is None else {"answer": sample.question.answer}),
            **({"strategy": sample.strategy} if sample.strategy else {}),
        }
        for place, sample in enumerate(samples)
    ]


def _alpaca(samples: Sequence[TrainingSample]) -> list[Row]:
    """instruction, input, output; system and history in every row where one needs them."""
    parts = [_alpaca_parts(sample.question) for sample in samples]
    names = [name for name in ("system", "history") if any(part[name] for part in parts)]
    ids = _ids(samples)
    return [
        {
            **ids[place],
            "instruction": sample.question.text,
            "input": "",
            "output": sample.response,
            **{name: parts[place][name] for name in names},
        }
        for place, sample in enumerate(samples)
    ]


def _alpaca_parts(question: Question) -> Mapping[str, Any]:
    """The system prompt, and the rounds before the question as pairs."""
    first = question.turns[0]
    before = question.turns[1:-1] if first.role == SYSTEM else question.turns[:-1]
    if not alternates(question) or (first.role == SYSTEM and not first.content):
        name = f"The question {visible(question.key or str(question.position + 1))!r}"
        raise UsageError(f"{name} has turns that Alpaca cannot hold.", "Write --format messages.")
    rounds = [[before[place].content, before[place + 1].content] for place in range(0, len(before), 2)]
    return {"system": first.content if first.role == SYSTEM else "", "history": rounds}


def _sharegpt(samples: Sequence[TrainingSample]) -> list[Row]:
    ids = _ids(samples)
    return [
        {
            **ids[place],
            "conversations": [
                {"from": _SHAREGPT_ROLES[turn.role], "value": turn.content} for turn in _conversation(sample)
            ],
        }
        for place, sample in enumerate(samples)
    ]


def _messages(samples: Sequence[TrainingSample]) -> list[Row]:
    """Nothing but the messages: services that fine-tune refuse other keys."""
    return [{"messages": _messages_of(_conversation(sample))} for sample in samples]


def _messages_of(turns: Sequence[Turn]) -> list[Row]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _conversation(sample: TrainingSample) -> tuple[Turn, ...]:
    return (*sample.question.turns, Turn(ASSISTANT, sample.response))


def _is_plain(question: Question) -> bool:
    return len(question.turns) == 1 and question.turns[0].role == USER


def _ids(samples: Sequence[TrainingSample]) -> list[Row]:
    """The questions' ids; none at all where one has none, since an import takes ids throughout or not at all."""
    keys = [sample.question.key for sample in samples]
    return [{} for _ in keys] if None in keys else [{"id": key} for key in keys]


LAYOUTS: Mapping[str, Callable[[Sequence[TrainingSample]], list[Row]]] = {
    "tidy": _tidy,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "messages": _messages,
}
