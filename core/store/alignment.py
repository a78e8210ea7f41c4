"""Staged records find their questions in the task: by id, and without ids by their text."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.ingest.records import bad_line, quoted
from core.store.staging import BadLines


@dataclass(frozen=True, slots=True)
class Place:
    """A file's records in the staging table, and the task that they go to; both names stand in the SQL."""

    file: int
    task: int

    @property
    def parameters(self) -> dict[str, int]:
        return {"file": self.file, "task": self.task}


def find_questions(connection: sqlite3.Connection, place: Place, bad: BadLines) -> None:
    """Set `question` of every staged record whose question the task has; records that contradict it go to `bad`."""
    connection.execute(
        """UPDATE temp.staged SET question = q.id FROM questions q
           WHERE staged.file = :file AND q.task = :task AND q.key = staged.key""",
        place.parameters,
    )
    _refuse_other_questions(connection, place, bad)
    _refuse_ambiguous_texts(connection, place, bad)
    connection.execute(
        """UPDATE temp.staged SET question = q.id FROM questions q
           WHERE staged.file = :file AND staged.key IS NULL AND q.task = :task AND q.digest = staged.digest""",
        place.parameters,
    )
    # A question without an id takes the id of the first record with its text.
    connection.execute(
        """UPDATE temp.staged SET question = found.id FROM (
               SELECT min(s.number) AS number, q.id FROM temp.staged s
               JOIN questions q ON q.task = :task AND q.digest = s.digest AND q.key IS NULL
               WHERE s.file = :file AND s.key IS NOT NULL AND s.question IS NULL GROUP BY q.id) AS found
           WHERE staged.number = found.number""",
        place.parameters,
    )


def _refuse_other_questions(connection: sqlite3.Connection, place: Place, bad: BadLines) -> None:
    others = """
        SELECT s.number, s.line, s.key FROM temp.staged s JOIN questions q ON q.id = s.question
        WHERE s.file = :file AND q.digest <> s.digest ORDER BY s.number"""
    for row in connection.execute(others, place.parameters):
        bad.add(bad_line(row["line"], f"the id {quoted(row['key'])} belongs to another question of the task"))
    connection.execute(f"DELETE FROM temp.staged WHERE number IN (SELECT number FROM ({others}))", place.parameters)


def _refuse_ambiguous_texts(connection: sqlite3.Connection, place: Place, bad: BadLines) -> None:
    ambiguous = """
        SELECT s.number, s.line, count(*) AS times FROM temp.staged s
        JOIN questions q ON q.task = :task AND q.digest = s.digest
        WHERE s.file = :file AND s.key IS NULL GROUP BY s.number HAVING count(*) > 1 ORDER BY s.number"""
    for row in connection.execute(ambiguous, place.parameters):
        bad.add(
            bad_line(row["line"], f"the task has this question {row['times']} times; an id must say which is meant")
        )
    connection.execute(f"DELETE FROM temp.staged WHERE number IN (SELECT number FROM ({ambiguous}))", place.parameters)


def count_under_other_ids(connection: sqlite3.Connection, place: Place) -> int:
    """Staged records with an id that is new to the task, although their question stands there under another."""
    (count,) = connection.execute(
        """SELECT count(*) FROM temp.staged s WHERE s.file = :file AND s.question IS NULL AND EXISTS (
               SELECT 1 FROM questions q WHERE q.task = :task AND q.digest = s.digest)""",
        place.parameters,
    ).fetchone()
    return int(count)


def adopt_ids(connection: sqlite3.Connection, place: Place) -> None:
    """Give questions without an id the id of the record that answers them."""
    connection.execute(
        """UPDATE questions SET key = s.key FROM temp.staged s
           WHERE s.file = :file AND s.question = questions.id AND s.key IS NOT NULL AND questions.key IS NULL""",
        place.parameters,
    )


def add_questions(connection: sqlite3.Connection, place: Place) -> int:
    """Append the questions that the task does not have, in the file's order; how many they are."""
    added = connection.execute(
        """INSERT INTO questions (task, position, key, digest, turns, answer)
           SELECT :task, (SELECT ifnull(max(position), -1) FROM questions WHERE task = :task)
                  + row_number() OVER (ORDER BY number), key, digest, turns, answer
           FROM temp.staged JOIN temp.staged_texts USING (number)
           WHERE file = :file AND question IS NULL ORDER BY number""",
        place.parameters,
    ).rowcount
    connection.execute(
        """UPDATE temp.staged SET question = CASE WHEN key IS NULL
               THEN (SELECT id FROM questions WHERE task = :task AND digest = staged.digest)
               ELSE (SELECT id FROM questions WHERE task = :task AND key = staged.key) END
           WHERE file = :file AND question IS NULL""",
        place.parameters,
    )
    return added


def settle_answers(connection: sqlite3.Connection, place: Place) -> int:
    """Give questions without a gold answer the file's; how many records have another one than the task."""
    connection.execute(
        """UPDATE questions SET answer = s.answer FROM temp.staged s
           WHERE s.file = :file AND s.question = questions.id AND s.answer IS NOT NULL AND questions.answer IS NULL""",
        place.parameters,
    )
    (differing,) = connection.execute(
        """SELECT count(*) FROM temp.staged s JOIN questions q ON q.id = s.question
           WHERE s.file = :file AND s.answer IS NOT NULL AND s.answer <> q.answer""",
        place.parameters,
    ).fetchone()
    return int(differing)


def add_responses(connection: sqlite3.Connection, file: int, strategy: int) -> int:
    """Store the file's staged responses, whose questions are all known by now; how many they are."""
    return connection.execute(
        """INSERT INTO responses (strategy, question, text, digest)
           SELECT :strategy, question, response, response_digest
           FROM temp.staged JOIN temp.staged_texts USING (number) WHERE file = :file ORDER BY number""",
        {"file": file, "strategy": strategy},
    ).rowcount
