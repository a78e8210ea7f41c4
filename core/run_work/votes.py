"""Votes: the target model answers every question several times at a temperature (arXiv 2408.09849)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from core.domain import Question, digest
from core.run_work.predict import MAX_NEW_TOKENS
from core.run_work.steps import BatchStore, RunWork
from core.scoring.prompts import context_digest
from core.scoring.protocol import Generation, Sampling
from core.store.sampled_answers import insert_sampled_answers

QUESTIONS_AT_ONCE = 16


def sample_votes(work: RunWork, questions: Sequence[Question]) -> None:
    """Sample the answers that are not stored yet. An answer's seed comes from its question and number alone."""
    votes = work.run.request.votes
    missing = [(question, number) for question in questions for number in _missing(work, question, votes)]
    if not missing:
        return
    work.engine()
    work.begin("sampling", votes * len(questions) - len(missing), votes * len(questions))
    done = votes * len(questions) - len(missing)
    notes: dict[str, None] = {}
    at_once = QUESTIONS_AT_ONCE * votes
    for start in range(0, len(missing), at_once):
        batch = missing[start : start + at_once]
        notes.update(dict.fromkeys(_sample(work, batch, done + start)))
    work.say("warning", notes)


def _sample(work: RunWork, batch: Sequence[tuple[Question, int]], done: int) -> list[str]:
    request, spec = work.run.request, work.run.spec
    digests = [context_digest(question.turns) for question, _ in batch]

    def store(connection: sqlite3.Connection, answers: Sequence[tuple[int, Generation]]) -> None:
        for index, answer in answers:
            found = [(batch[index][1], answer.text, answer.finished)]
            insert_sampled_answers(connection, spec, digests[index], request.vote_temperature, found)

    engine = work.engine()
    contexts = []
    for question, _ in batch:
        work.on_step()
        contexts.append(engine.encode_context(question.turns))
    seeds = tuple(_seed(context, number) for context, (_, number) in zip(digests, batch, strict=True))
    answers = BatchStore(work, done, store)
    try:
        return engine.generate(
            contexts, MAX_NEW_TOKENS, answers.add, work.on_step, Sampling(request.vote_temperature, seeds)
        )
    finally:
        answers.commit()


def _missing(work: RunWork, question: Question, votes: int) -> Iterable[int]:
    rows = work.reader.execute(
        "SELECT number FROM sampled_answers WHERE spec = ? AND context = ? AND temperature = ?",
        (work.run.spec, context_digest(question.turns), work.run.request.vote_temperature),
    )
    known = {row[0] for row in rows}
    return (number for number in range(votes) if number not in known)


def _seed(context: bytes, number: int) -> int:
    return int.from_bytes(digest("vote", context, str(number))[:7], "little")
