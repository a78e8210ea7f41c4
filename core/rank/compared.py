"""What a run compares: its strategies and finished questions, with what the catalogue knows of them besides scores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from core.domain import Run, response_digest
from core.scoring.prompts import context_digest
from core.store.batches import slices
from core.store.catalogue import task_by_name, turns_from_json
from core.store.generations import generated_texts, imported_pool
from core.store.scores import finished_questions

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

Place = tuple[int, int]
"""A response's row and column in arrays of S strategies and Q questions."""


class Compared:
    """The S strategies and Q questions of a run in the order of its arrays; everything is read when it is asked for."""

    def __init__(self, reader: sqlite3.Connection, run: Run) -> None:
        self.reader = reader
        self.run = run
        rows = reader.execute("SELECT strategy FROM run_strategies WHERE run = ? ORDER BY position", (run.id,))
        self.strategies = [int(row[0]) for row in rows]
        self.questions = finished_questions(reader, run.id)

    @cached_property
    def task(self) -> int:
        return task_by_name(self.reader, self.run.task).id

    @cached_property
    def rows(self) -> dict[int, int]:
        """The row of every strategy."""
        return {strategy: row for row, strategy in enumerate(self.strategies)}

    @cached_property
    def columns(self) -> dict[int, int]:
        """The column of every question."""
        return {question: column for column, question in enumerate(self.questions)}

    @cached_property
    def contexts(self) -> list[bytes]:
        """(Q,): the digest of the plain context."""
        return [context_digest(turns_from_json(turns)) for turns, _ in self._texts_of_questions]

    @cached_property
    def gold(self) -> list[str | None]:
        """(Q,): the gold answer."""
        return [answer for _, answer in self._texts_of_questions]

    @cached_property
    def _texts_of_questions(self) -> list[tuple[str, str | None]]:
        found = {}
        for some in slices(self.questions):
            marks = ",".join("?" * len(some))
            rows = self.reader.execute(f"SELECT id, turns, answer FROM questions WHERE id IN ({marks})", some)
            found.update({row[0]: (str(row[1]), row[2]) for row in rows})
        return [found[question] for question in self.questions]

    @cached_property
    def digests(self) -> dict[Place, bytes]:
        """The digest of every response that there is."""
        marks = ",".join("?" * len(self.strategies))
        rows = self.reader.execute(
            f"SELECT strategy, question, digest FROM responses WHERE strategy IN ({marks})", self.strategies
        )
        return {(self.rows[row[0]], self.columns[row[1]]): row[2] for row in rows if row[1] in self.columns}

    def responses(self) -> Iterator[tuple[int, list[str | None]]]:
        """Question by question its column and the S responses; None where a strategy has none."""
        marks = ",".join("?" * len(self.strategies))
        query = f"SELECT strategy, text FROM responses WHERE question = ? AND strategy IN ({marks})"
        for column, question in enumerate(self.questions):
            texts = {row[0]: row[1] for row in self.reader.execute(query, (question, *self.strategies))}
            yield column, [texts.get(strategy) for strategy in self.strategies]

    @cached_property
    def own_predictions(self) -> dict[int, str]:
        """The target model's own predictions by column: imported ones where there are any, else generated ones."""
        imported = imported_pool(self.reader, self.task, self.run.weights_digest)
        if imported:
            by_question = {each.question: each.text for each in imported}
            found = ((column, by_question.get(question)) for question, column in self.columns.items())
        else:
            generated = generated_texts(self.reader, self.run.spec)
            found = ((column, generated.get(context)) for column, context in enumerate(self.contexts))
        return {column: text for column, text in found if text is not None}

    def unknown(self) -> FloatArray:
        """(S, Q) of NaN."""
        import numpy as np

        return np.full((len(self.strategies), len(self.questions)), np.nan)


def response_digests_of(text: str) -> frozenset[bytes]:
    """The digests of a text as a response, as it is and without white space around it."""
    return frozenset(response_digest(each) for each in (text, text.strip()))
