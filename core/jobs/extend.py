"""The same run on more questions: what an undecided verdict asks for."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace

from core.domain import Run
from core.errors import SapError, UsageError
from core.jobs.samples import Scope, scope_of
from core.jobs.submit import Submission
from core.models import find_target
from core.store.catalogue import task_by_name
from core.store.runs import choose_questions, run_by_id, spec_by_id


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
    found = target.weights_digest, target.adapter_digest, target.chat_template_digest
    if found != (spec.weights_digest, spec.adapter_digest, spec.chat_template_digest):
        raise SapError(f"The model of run {number} is not the one that it was.", "Start a new run.")
    scope = scope_of(reader, number)
    questions = (*scope.questions, *_further(reader, run, scope, more))
    request = replace(run.request, samples=len(questions), answered=run.request.answered or len(scope.questions))
    return Submission(task_by_name(reader, run.task).id, request, target, spec, scope.strategies, questions)


def _further(reader: sqlite3.Connection, run: Run, scope: Scope, more: int) -> list[int]:
    """In task order, or drawn where the run's own were drawn."""
    known = set(scope.questions)
    rest = [each for each in choose_questions(reader, scope.strategies, None, None) if each not in known]
    if not rest:
        raise SapError(f"Run {run.id} has scored every question that its strategies have in common.")
    if run.request.seed is None and not run.request.until_decided:
        return rest[:more]
    return random.Random(run.request.seed or 0).sample(rest, min(more, len(rest)))
