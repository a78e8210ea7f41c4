"""What is stored beside scores: token places, checked answers, sampled answers, rewards."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain import ScoreSpec, digest
from core.store.answer_checks import answer_checks, insert_answer_checks
from core.store.db import Writer, open_reader
from core.store.rewards import insert_rewards, rewards
from core.store.runs import spec_id
from core.store.sampled_answers import insert_sampled_answers, sampled_answers
from core.store.token_ends import insert_token_ends, token_ends
from tests.unit.catalogue_files import new_catalogue

MANY = [digest("response", str(number)) for number in range(1201)]
HOSTILE = "42'); DROP TABLE runs; --\x1b[2J\u202e"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_catalogue(tmp_path)


@pytest.fixture
def spec(path: Path) -> int:
    with Writer(path) as writer, writer.transaction() as connection:
        return spec_id(connection, ScoreSpec("weights", "none", "float32"))


def test_token_ends_come_back_as_they_were_stored(path: Path, spec: int) -> None:
    ends = {response: list(range(number % 7)) for number, response in enumerate(MANY)}
    ends[MANY[0]] = [0, 70_000, 16_777_215]
    with Writer(path) as writer, writer.transaction() as connection:
        insert_token_ends(connection, spec, ends)
        insert_token_ends(connection, spec, {MANY[1]: [99]})
    found = token_ends(open_reader(path), spec, [*MANY, digest("response", "unknown")])
    assert {response: places.tolist() for response, places in found.items()} == ends
    assert all(places.dtype == "int64" for places in found.values())
    assert token_ends(open_reader(path), spec + 1, MANY) == {}


def test_token_ends_are_compressed_little_endian_int32(path: Path, spec: int) -> None:
    import zlib

    with Writer(path) as writer, writer.transaction() as connection:
        insert_token_ends(connection, spec, {MANY[0]: [1, 256]})
        (stored,) = connection.execute("SELECT ends FROM token_ends").fetchone()
    assert zlib.decompress(stored) == b"\x01\0\0\0\0\x01\0\0"


def test_answer_checks_are_kept_by_response_and_gold_answer(path: Path) -> None:
    checks = [(response, HOSTILE, number % 3 == 0) for number, response in enumerate(MANY)]
    with Writer(path) as writer, writer.transaction() as connection:
        insert_answer_checks(connection, checks)
        insert_answer_checks(connection, [(MANY[0], "code", None), (MANY[0], HOSTILE, False)])
    found = answer_checks(open_reader(path), [(response, HOSTILE) for response in MANY] + [(MANY[0], "code")])
    assert found == {(response, gold): correct for response, gold, correct in checks} | {(MANY[0], "code"): None}
    assert answer_checks(open_reader(path), [(MANY[1], "code")]) == {}


def test_sampled_answers_come_in_the_order_of_their_numbers(path: Path, spec: int) -> None:
    context = digest("context", "a question")
    with Writer(path) as writer, writer.transaction() as connection:
        insert_sampled_answers(connection, spec, context, 1.1, [(2, "c", True), (0, HOSTILE, False), (1, "b", True)])
        insert_sampled_answers(connection, spec, context, 1.1, [(1, "other", False), (3, "d", True)])
        insert_sampled_answers(connection, spec, context, 0.7, [(0, "cool", True)])
    reader = open_reader(path)
    assert sampled_answers(reader, spec, context, 1.1, 3) == [(HOSTILE, False), ("b", True), ("c", True)]
    assert sampled_answers(reader, spec, context, 0.7, 15) == [("cool", True)]
    assert sampled_answers(reader, spec, digest("context", "other"), 1.1, 15) == []


def test_rewards_belong_to_a_model(path: Path) -> None:
    context = digest("context", "a question")
    values = [(context, response, number / 8) for number, response in enumerate(MANY)]
    with Writer(path) as writer, writer.transaction() as connection:
        insert_rewards(connection, "weights", values)
        insert_rewards(connection, "weights", [(context, MANY[0], 7.0)])
    pairs = [(context, response) for response in MANY]
    assert rewards(open_reader(path), "weights", pairs) == {(a, b): value for a, b, value in values}
    assert rewards(open_reader(path), "other", pairs) == {}
