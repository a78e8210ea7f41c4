"""The same run on more questions: what an undecided verdict asks for."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from itertools import takewhile

from core.domain import Run, RunState
from core.errors import SapError, UsageError
from core.models import find_target, template_digest
from core.run_work.samples import Scope, scope_of
from core.store.catalogue import task_by_name
from core.store.run_details import earlier_responses
from core.store.runs import choose_questions, run_by_id, scope_questions, spec_by_id
from core.store.scores import finished_questions
from core.submission.submit import Submission


def prepare_extension(reader: sqlite3.Connection, number: int, more: int) -> Submission:
    """The run's questions and so many further ones; what is scored is not computed again.

    The pool of examples stays that of the first run, since other examples would make other contexts. Raises SapError
    where there are no further questions, or the model is not the one that it was.
    """
    if more < 1:
        raise UsageError("--more must be 1 or more.", "For example: sap-tui score --more 50 3")
    run = run_by_id(reader, number)
    spec = spec_by_id(reader, run.spec)
    target = replace(find_target(run.request.path, adapter=run.request.adapter), name=run.model, revision=spec.revision)
    template = template_digest(run.request.chat_template) or target.chat_template_digest
    found = target.weights_digest, target.adapter_digest, template
    if found != (spec.weights_digest, spec.adapter_digest, spec.chat_template_digest):
        raise SapError(f"The model of run {number} is not the one that it was.", "Start a new run.")
    scope, scored = scope_of(reader, number, run.request), _scored(reader, run)
    questions = (*scored, *_further(reader, run, scope, scored, more))
    request = replace(
        run.request,
        samples=len(questions),
        answered=run.request.answered or len(scope.questions),
        until_decided=run.request.until_decided and len(scored) == len(scope.questions),
    )
    task, notes = task_by_name(reader, run.task).id, tuple(earlier_responses(reader, run))
    return Submission(task, request, target, spec, scope.strategies, questions, notes)


def _scored(reader: sqlite3.Connection, run: Run) -> tuple[int, ...]:
    """The run's questions; of one that was decided early those up to then. More of them are for all its strategies."""
    questions = scope_questions(reader, run.id)
    if not (run.request.until_decided and run.state is RunState.DONE):
        return questions
    finished = set(finished_questions(reader, run.id))
    return tuple(takewhile(finished.__contains__, questions))


def _further(reader: sqlite3.Connection, run: Run, scope: Scope, scored: tuple[int, ...], more: int) -> tuple[int, ...]:
    """What was left of the run's own; then in task order, or drawn where the run's own were drawn."""
    known = set(scope.questions)
    rest = [each for each in choose_questions(reader, scope.strategies, None, None) if each not in known]
    if run.request.seed is not None or run.request.until_decided:
        random.Random(run.request.seed or 0).shuffle(rest)
    further = (*scope.questions[len(scored) :], *rest)[:more]
    if not further:
        raise SapError(f"Run {run.id} has scored every question that its strategies have in common.")
    return further
