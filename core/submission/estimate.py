"""What a run would cost before it starts: tokens, memory, time, what exists already and what does not fit."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

from core.domain import ContextKind, Prediction, Question, RunRequest
from core.metrics.registry import contexts_needed
from core.model_memory import memory_need
from core.run_work.loading import load_encoder
from core.run_work.plan_run import Plan, make_plan
from core.run_work.pool import generated_pool, stored
from core.run_work.predict import own_answers
from core.run_work.samples import Contexts, Scope, samples_of
from core.run_work.token_ids import TokenIds
from core.store.catalogue import question as question_by_id
from core.store.catalogue import valid_strategy
from core.store.generations import imported_pool
from core.store.runs import known_spec
from core.submission.submit import Submission


@dataclass(frozen=True, slots=True)
class Estimate:
    """Costs of a run. `seconds` is None where this model has not run here before; `predictions` counts the questions
    that the target model must answer first, which is not in `tokens`."""

    strategies: int
    questions: int
    samples: int
    reused: int
    to_score: int
    failed: dict[str, int]
    predictions: int
    with_control_tokens: int
    tokens: int
    memory_bytes: int
    seconds: float | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def estimate(reader: sqlite3.Connection, submission: Submission) -> Estimate:
    """Plan the run without storing anything; loads the tokenizer, not the weights."""
    request, scope = (
        submission.request,
        Scope(submission.strategies, submission.questions, valid_strategy(reader, submission.request)),
    )
    spec = known_spec(reader, submission.spec)
    pool, missing = _pool(reader, submission, spec, scope)
    ids = TokenIds(cache(lambda: load_encoder(request)))
    own_answer = own_answers(reader, spec, submission.task, submission.target.weights_digest)
    plan = make_plan(reader, spec, request, scope, Contexts(request, pool), ids, own_answer)
    return Estimate(
        strategies=len(scope.strategies),
        questions=len(scope.questions),
        samples=len(plan.items),
        reused=plan.count("reused"),
        to_score=plan.count("planned"),
        failed=dict(Counter(item.code for item in plan.items if item.state == "error")),
        predictions=missing,
        with_control_tokens=len(plan.with_control_tokens),
        tokens=plan.tokens,
        memory_bytes=memory_need(
            request.path, request.quantization, request.dtype, plan.longest, on_gpu=request.device != "cpu"
        ),
        seconds=_seconds(reader, request, plan),
    )


def _pool(
    reader: sqlite3.Connection, submission: Submission, spec: int | None, scope: Scope
) -> tuple[Sequence[Prediction], int]:
    """The examples as far as they exist; where answers are still to be made, responses of like length stand in."""
    if ContextKind.SELF_ALIGNED not in contexts_needed(submission.request.metrics):
        return [], 0
    imported = imported_pool(reader, submission.task, submission.target.weights_digest)
    if imported:
        return imported, 0
    asked = scope.questions[: submission.request.answered]
    questions: list[Question] = [question_by_id(reader, number) for number in asked]
    missing = sum(spec is None or stored(reader, spec, question) is None for question in questions)
    if spec is not None and not missing:
        return generated_pool(reader, spec, submission.request, questions).predictions, 0
    stand_ins = [
        Prediction(max((response.text for response in samples.responses), key=len), samples.question.id)
        for samples in samples_of(reader, scope)
    ]
    return stand_ins, missing


def _seconds(reader: sqlite3.Connection, request: RunRequest, plan: Plan) -> float | None:
    """From the speed that the newest run of this model, precision and device reached on this machine."""
    rows = reader.execute(
        "SELECT request, tokens_per_second FROM runs WHERE tokens_per_second > 0 ORDER BY id DESC LIMIT 200"
    )
    for row in rows:
        if RunRequest.from_json(row[0]).engine_key == request.engine_key:
            return plan.tokens / float(row[1])
    return None
