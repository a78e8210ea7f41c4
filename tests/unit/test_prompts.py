"""Self-aligned prompts: rotation, template and contexts."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Prediction, Turn
from core.errors import InputError, NotFoundError, SapError
from core.scoring.prompts import (
    ALONE,
    context_digest,
    in_context_examples,
    load_template,
    read_template,
    self_aligned_turns,
)


def pool_of(*questions: int | None) -> list[Prediction]:
    return [Prediction(f"answer {place}", question) for place, question in enumerate(questions)]


@pytest.mark.parametrize(
    ("position", "own", "questions", "examples", "expected"),
    [
        (0, 10, (10, 11, 12, 13), 2, (1, 2)),
        (1, 11, (10, 11, 12, 13), 2, (2, 3)),
        (2, 12, (10, 11, 12, 13), 2, (3, 0)),
        (3, 13, (10, 11, 12, 13), 2, (0, 1)),
        (7, 99, (10, 11, 12), 2, (2, 0)),
        (0, 10, (11, 10, 12), 2, (2, 0)),
        (2, None, (None, None, None), 2, (0, 1)),
        (0, 10, (10, 11), 5, (1,)),
        (4, 12, (10, 11, 12), 3, (0, 1)),
        (0, 10, (11,), 1, (0,)),
        (0, 10, (11, 12), 0, ()),
    ],
)
def test_rotation(
    position: int, own: int | None, questions: tuple[int | None, ...], examples: int, expected: tuple[int, ...]
) -> None:
    chosen = in_context_examples(position, own, pool_of(*questions), examples)
    assert chosen == tuple(f"answer {place}" for place in expected)


@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 6))
def test_rotation_agrees_with_a_walk_around_the_pool(position: int, length: int, examples: int) -> None:
    pool = pool_of(*range(length))
    own = position % (length + 3)
    walk = itertools.islice((pool[(position + step) % length] for step in itertools.count(1)), length)
    expected = [entry.text for entry in walk if entry.question != own][:examples]
    if expected:
        assert list(in_context_examples(position, own, pool, examples)) == expected
    else:
        with pytest.raises(SapError):
            in_context_examples(position, own, pool, examples)


@pytest.mark.parametrize("questions", [(), (10,), (10, 10)])
def test_no_example_at_all_says_what_to_do(questions: tuple[int, ...]) -> None:
    with pytest.raises(SapError, match="--no-answer-filter"):
        in_context_examples(0, 10, pool_of(*questions), 2)


def test_the_rendered_prompt() -> None:
    turns = self_aligned_turns((Turn("user", "What is 2+2?\n"),), ("It is 4.\n", "So <b>{{ 5 }}</b>"), load_template())
    (turn,) = turns
    assert turn.role == "user"
    assert turn.content == (
        "What is 2+2?\n\n\nBelow are answers you gave to other questions of this kind. Answer the question above in "
        "the same style and with the same way of reasoning.\n\nExample answer 1:\nIt is 4.\n\n\nExample answer 2:\n"
        "So <b>{{ 5 }}</b>\n\nNow answer the question above."
    )


def test_one_example_is_spoken_of_in_the_singular() -> None:
    (turn,) = self_aligned_turns((Turn("user", "q"),), ("a",), load_template())
    assert "Below is an answer you gave" in turn.content


def test_earlier_turns_are_kept() -> None:
    turns = (Turn("system", "s"), Turn("user", "u"), Turn("assistant", "a"), Turn("user", "q"))
    rendered = self_aligned_turns(turns, ("x",), load_template())
    assert rendered[:3] == turns[:3]
    assert rendered[3].content.startswith("q\n")


def test_a_template_of_the_users_own(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{% for example in examples %}\n[{{ example }}]\n{% endfor %}\n{{ question }}", encoding="utf-8")
    (turn,) = self_aligned_turns((Turn("user", "q\r\n"),), ("é", "b"), load_template(read_template(own)))
    assert turn.content == "[é]\n[b]\nq\r\n"


def test_a_template_cannot_leave_the_sandbox() -> None:
    hostile = load_template("{{ question.__class__.__mro__ }}")
    with pytest.raises(SapError, match="does not render"):
        self_aligned_turns((Turn("user", "q"),), ("a",), hostile)


def test_bad_template_files_are_named(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken.jinja", tmp_path / "binary.jinja"
    broken.write_text("{% for %}", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"broken\.jinja"):
        read_template(broken)
    with pytest.raises(InputError, match=r"binary\.jinja"):
        read_template(binary)
    with pytest.raises(NotFoundError, match=r"absent\.jinja"):
        read_template(tmp_path / "absent.jinja")


def test_contexts_are_told_apart() -> None:
    digests = {
        context_digest(turns)
        for turns in (
            ALONE,
            (Turn("user", "q"),),
            (Turn("user", "q "),),
            (Turn("system", "q"),),
            (Turn("user", "q"), Turn("assistant", "")),
        )
    }
    assert len(digests) == 5
    assert context_digest((Turn("user", "q"),)) == context_digest((Turn("user", "q"),))
    assert all(len(digest) == 16 for digest in digests)
