"""Conversations: the last assistant turn is the response, everything before it the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain import Turn
from core.ingest.layout import Sample
from core.ingest.records import Unreadable, kind_of, quoted

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
ROLES: Mapping[str, str] = {
    "user": USER,
    "human": USER,
    "assistant": ASSISTANT,
    "gpt": ASSISTANT,
    "system": SYSTEM,
    "developer": SYSTEM,
}
NAMES_OF_ROLE = ("role", "from")
NAMES_OF_CONTENT = ("content", "value")
LATER_TURNS_NOTE = "Conversations whose turns after the last assistant turn were left out"


def looks_like_turns(value: object) -> bool:
    """Whether a field's value is a list of objects that say who speaks."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(turn, dict) and any(name in turn for name in NAMES_OF_ROLE) for turn in value)


def read_conversation(value: object, field: str, system: str = "") -> Sample:
    """The sample in a list of turns, with `system` as a turn before them if there is any. Raises Unreadable."""
    turns = read_turns(value, field)
    last = max((index for index, turn in enumerate(turns) if turn.role == ASSISTANT), default=-1)
    if last < 0:
        raise Unreadable("the conversation has no assistant turn")
    before = ((Turn(SYSTEM, system),) if system else ()) + turns[:last]
    check_question(before)
    note = LATER_TURNS_NOTE if last + 1 < len(turns) else ""
    return Sample(before, turns[last].content, note)


def read_turns(value: object, field: str) -> tuple[Turn, ...]:
    """A list of turns in either spelling, role and content or from and value. Raises Unreadable."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise Unreadable(f"{quoted(field)} is {kind_of(value)}, not a list of turns")
    return tuple(_turn(turn, number) for number, turn in enumerate(value, 1))


def check_question(turns: tuple[Turn, ...]) -> None:
    """Raises Unreadable unless the turns end with a user's that says something."""
    if not turns or turns[-1].role != USER:
        raise Unreadable("no user turn stands before the response")
    if not turns[-1].content:
        raise Unreadable("the question is empty")


def _turn(turn: object, number: int) -> Turn:
    if not isinstance(turn, dict):
        raise Unreadable(f"turn {number} is {kind_of(turn)}, not an object")
    role = next((turn[name] for name in NAMES_OF_ROLE if turn.get(name) is not None), None)
    if not isinstance(role, str) or role not in ROLES:
        raise Unreadable(f"turn {number} has the unknown role {quoted(role)}")
    if turn.get("tool_calls"):
        raise Unreadable(f"turn {number} calls tools, which cannot be scored as text")
    content = next((turn[name] for name in NAMES_OF_CONTENT if turn.get(name) is not None), None)
    return Turn(ROLES[role], _content(content, number))


def _content(content: object, number: int) -> str:
    # Content may also be a list of parts; one text part says the same as plain text.
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    if not isinstance(content, str):
        raise Unreadable(f"turn {number} holds {kind_of(content)} where its text belongs")
    return content
