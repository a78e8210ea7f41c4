"""From what a user asks to a queued run, with everything checked before anything is stored."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.domain import RunRequest, ScoreSpec, Target
from core.errors import NotFoundError, SapError, UsageError
from core.gpu import choose_device, driver_answers, gpus, is_missing
from core.metrics.registry import default_metrics
from core.model_memory import memory_need
from core.models import find_target, is_stand_in, stored_dtype, template_digest
from core.processes.scorers import gpu_with_model
from core.store.catalogue import strategies as strategies_of
from core.store.catalogue import strategy_by_path, task_by_name
from core.store.db import Writer
from core.store.runs import choose_questions, create_run, known_spec, run_by_id
from core.submission.options import ScoreOptions, check_inputs, check_options
from core.submission.space import refuse_little_space

FIRST_ANSWERED = 32
"""So many answers make the pool of examples of a run that ends when it is decided; nobody knows how far it will go."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A run that could be queued: everything found and checked, nothing stored. `notes` are worth knowing before."""

    task: int
    request: RunRequest
    target: Target
    spec: ScoreSpec
    strategies: tuple[int, ...]
    questions: tuple[int, ...]
    notes: tuple[str, ...] = ()


def prepare_submission(reader: sqlite3.Connection, options: ScoreOptions) -> Submission:
    """Find and check everything that a run needs. Raises SapError in the words of what is wrong."""
    check_options(options)
    task = task_by_name(reader, options.task)
    chosen = _chosen_strategies(reader, options)
    questions = _questions(reader, options, chosen)
    check_inputs(reader, options)
    target = find_target(options.model, revision=options.revision, adapter=options.adapter, download=options.download)
    if is_missing(options.device) and not is_stand_in(target.path):
        raise SapError(f"There is no device {options.device} here, or torch cannot use it.", "See: sap-tui doctor")
    device = _best_device(options, target) if options.device == "auto" else options.device
    request = replace(_request(options, target, device), valid_strategy=strategy_by_path(reader, options.valid))
    if options.device != "cpu":
        request = replace(request, gpus=tuple(gpu.uuid for gpu in gpus() if gpu.uuid))
    spec = _spec(request, target)
    small = options.small_model_run
    if small is not None and run_by_id(reader, small).spec == known_spec(reader, spec):
        raise UsageError(f"Run {small} scored with this same model.", "Learnability needs a run of a smaller one.")
    if options.device == "auto":
        request = replace(request, device=gpu_with_model(reader, spec, request) or device)
    return Submission(task.id, request, target, spec, tuple(chosen), tuple(questions))


def queue(writer: Writer, submission: Submission, *, held: bool = False) -> int:
    """Store the run and return its number; a held one waits for `claim_run(in_foreground=True)`.

    Raises SapError where the disk has no room for its scores.
    """
    with writer.transaction() as connection:
        run = create_run(
            connection,
            task=submission.task,
            request=submission.request,
            target=submission.target,
            spec=submission.spec,
            strategies=submission.strategies,
            questions=submission.questions,
        )
        refuse_little_space(connection, writer.path, run, submission.request)
        if held:
            connection.execute("UPDATE runs SET want = 'pause' WHERE id = ?", (run,))
    return run


def _questions(reader: sqlite3.Connection, options: ScoreOptions, strategies: Sequence[int]) -> list[int]:
    """A run that ends when it is decided goes through them in a seeded order, or what is scored first would decide."""
    if not options.until_decided:
        return choose_questions(reader, strategies, options.samples, options.seed)
    common = choose_questions(reader, strategies, None, None)
    count = len(common) if options.samples is None else min(options.samples, len(common))
    return random.Random(options.seed or 0).sample(common, count)


def _chosen_strategies(reader: sqlite3.Connection, options: ScoreOptions) -> list[int]:
    known = {strategy.name: strategy for strategy in strategies_of(reader, options.task)}
    unknown = [name for name in options.strategies if name not in known]
    if unknown:
        raise NotFoundError(
            f"Task {options.task} has no strategy {unknown[0]}.", f"It has: {', '.join(known) or 'none'}."
        )
    names = list(dict.fromkeys(options.strategies)) or [name for name in known if known[name].responses]
    if not names:
        raise SapError(
            f"Task {options.task} has no strategy with responses.", "Import a file first: sap-tui import FILE"
        )
    empty = [name for name in names if not known[name].responses]
    if empty:
        raise SapError(
            f"Strategy {empty[0]} has no responses yet.", f"Import them: sap-tui import FILE --strategy {empty[0]}"
        )
    return [known[name].id for name in names]


def _spec(request: RunRequest, target: Target) -> ScoreSpec:
    return ScoreSpec(
        weights_digest=target.weights_digest,
        quantization=request.quantization,
        dtype=request.dtype,
        revision=target.revision,
        adapter_digest=target.adapter_digest,
        chat_template_digest=template_digest(request.chat_template) or target.chat_template_digest,
        template_options=request.template_options,
        system=request.system,
        control_tokens=request.control_tokens,
    )


def _best_device(options: ScoreOptions, target: Target) -> str:
    need = memory_need(target.path, options.quantization, _dtype(options, target, "cuda"), 0, on_gpu=True)
    found = gpus()
    if not driver_answers():
        raise SapError("The NVIDIA driver does not answer.", "Choose the processor: --device cpu; see: sap-tui doctor")
    return choose_device(found, need)


def _dtype(options: ScoreOptions, target: Target, device: str) -> str:
    if options.dtype != "auto":
        return options.dtype
    return "float32" if device == "cpu" else stored_dtype(target.path)


def _request(options: ScoreOptions, target: Target, device: str) -> RunRequest:
    reward = find_target(options.reward_model, download=options.download) if options.reward_model else None
    return RunRequest(
        model=target.name,
        path=target.path,
        metrics=tuple(dict.fromkeys(options.metrics)) or default_metrics(),
        device=device,
        dtype=_dtype(options, target, device),
        quantization=options.quantization,
        adapter=target.adapter,
        system=options.system,
        template_options=tuple(sorted(options.template_options)),
        samples=options.samples,
        seed=options.seed,
        examples=options.examples,
        answer_filter=options.answer_filter,
        example_choice=options.example_choice,
        example_orders=options.example_orders,
        prompt_template=options.prompt_template,
        answered=FIRST_ANSWERED if options.until_decided else None,
        until_decided=options.until_decided,
        valid=options.valid,
        votes=options.votes,
        vote_temperature=options.vote_temperature,
        reward_model=reward.path if reward else "",
        reward_model_digest=reward.weights_digest if reward else "",
        small_model_run=options.small_model_run,
        chat_template=options.chat_template,
        control_tokens=options.control_tokens,
    )
