"""From what a user asks to a queued run, with everything checked before anything is stored."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.domain import RunRequest, ScoreSpec, Target
from core.errors import NotFoundError, SapError, UsageError
from core.jobs.gpu import choose_device, gpus
from core.jobs.scorers import gpu_with_model
from core.metrics.registry import default_metrics, metric
from core.model_memory import memory_need
from core.models import find_target, stored_dtype
from core.store.catalogue import strategies as strategies_of
from core.store.catalogue import task_by_name
from core.store.db import Writer
from core.store.runs import choose_questions, create_run

QUANTIZATIONS = ("none", "int8", "nf4", "fp4")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What `score` and the new-run form take; names as on the command line."""

    task: str
    model: str
    strategies: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    samples: int | None = 50
    seed: int | None = None
    examples: int = 2
    quantization: str = "none"
    dtype: str = "auto"
    device: str = "auto"
    revision: str = ""
    adapter: str = ""
    system: str | None = None
    template_options: tuple[tuple[str, str | bool | int | float], ...] = ()
    answer_filter: bool = True
    download: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A run that could be queued: everything found and checked, nothing stored."""

    task: int
    request: RunRequest
    target: Target
    spec: ScoreSpec
    strategies: tuple[int, ...]
    questions: tuple[int, ...]


def prepare_submission(reader: sqlite3.Connection, options: ScoreOptions) -> Submission:
    """Find and check everything that a run needs. Raises SapError in the words of what is wrong."""
    _check(options)
    task = task_by_name(reader, options.task)
    chosen = _chosen_strategies(reader, options)
    questions = choose_questions(reader, chosen, options.samples, options.seed)
    target = find_target(options.model, revision=options.revision, adapter=options.adapter, download=options.download)
    device = _best_device(options, target) if options.device == "auto" else options.device
    request = _request(options, target, device)
    spec = ScoreSpec(
        weights_digest=target.weights_digest,
        quantization=request.quantization,
        dtype=request.dtype,
        revision=target.revision,
        adapter_digest=target.adapter_digest,
        chat_template_digest=target.chat_template_digest,
        template_options=request.template_options,
        system=request.system,
        control_tokens=request.control_tokens,
    )
    if options.device == "auto":
        request = replace(request, device=gpu_with_model(reader, spec, request) or device)
    return Submission(task.id, request, target, spec, tuple(chosen), tuple(questions))


def queue(writer: Writer, submission: Submission, *, held: bool = False) -> int:
    """Store the run and return its number; a held one waits for `claim_run(paused_too=True)`."""
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
        if held:
            connection.execute("UPDATE runs SET want = 'pause' WHERE id = ?", (run,))
    return run


def _check(options: ScoreOptions) -> None:
    for metric_id in options.metrics:
        metric(metric_id)
    if options.quantization not in QUANTIZATIONS:
        raise UsageError(f"There is no quantization {options.quantization!r}.", f"One of: {', '.join(QUANTIZATIONS)}.")
    if options.dtype not in DTYPES:
        raise UsageError(f"There is no dtype {options.dtype!r}.", f"One of: {', '.join(DTYPES)}.")
    if options.samples is not None and options.samples < 1:
        raise UsageError("--samples must be 1 or more, or all.", "50 is the default.")
    if options.examples < 1:
        raise UsageError("--examples must be 1 or more.", "The published tables use 2.")
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", options.device):
        raise UsageError(f"There is no device {options.device!r}.", "One of: auto, cpu, cuda, cuda:0, cuda:1, ...")


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


def _best_device(options: ScoreOptions, target: Target) -> str:
    need = memory_need(target.path, options.quantization, _dtype(options, target, "cuda"), 0, on_gpu=True)
    return choose_device(gpus(), need)


def _dtype(options: ScoreOptions, target: Target, device: str) -> str:
    if options.dtype != "auto":
        return options.dtype
    return "float32" if device == "cpu" else stored_dtype(target.path)


def _request(options: ScoreOptions, target: Target, device: str) -> RunRequest:
    return RunRequest(
        model=target.name,
        path=target.path,
        metrics=_metrics(options.metrics),
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
    )


def _metrics(asked: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(asked)) or default_metrics()
