"""What a user may ask of a run, and what is wrong with it."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, fields

from core.domain import ContextKind, Run, RunState
from core.errors import NotFoundError, SapError, UsageError
from core.metrics.base import Input
from core.metrics.registry import contexts_needed, default_metrics, inputs_needed, metric
from core.store.catalogue import strategy_by_path
from core.store.runs import run_by_id

QUANTIZATIONS = ("none", "int8", "nf4", "fp4")
DTYPES = ("auto", "float32", "bfloat16", "float16")
EXAMPLE_CHOICES = ("rotation", "usefulness")
CONTROL_TOKENS = ("as_text", "as_published")
SAMPLES = 50
SAMPLES_UNTIL_DECIDED = 300


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What `score` and the new-run form take; names as on the command line. `samples` None means all."""

    task: str
    model: str
    strategies: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    samples: int | None = SAMPLES
    seed: int | None = None
    until_decided: bool = False
    examples: int = 2
    example_choice: str = "rotation"
    example_orders: int = 1
    prompt_template: str = ""
    valid: str = ""
    votes: int = 15
    vote_temperature: float = 1.1
    reward_model: str = ""
    small_model_run: int | None = None
    chat_template: str = ""
    control_tokens: str = "as_text"
    quantization: str = "none"
    dtype: str = "auto"
    device: str = "auto"
    revision: str = ""
    adapter: str = ""
    system: str | None = None
    template_options: tuple[tuple[str, str | bool | int | float], ...] = ()
    answer_filter: bool = True
    download: bool = False


def check_options(options: ScoreOptions) -> None:
    """Raises UsageError for the first option that can never be right."""
    for metric_id in options.metrics:
        metric(metric_id)
    if options.quantization not in QUANTIZATIONS:
        raise UsageError(f"There is no quantization {options.quantization!r}.", f"One of: {', '.join(QUANTIZATIONS)}.")
    if options.dtype not in DTYPES:
        raise UsageError(f"There is no dtype {options.dtype!r}.", f"One of: {', '.join(DTYPES)}.")
    if options.samples is not None and options.samples < 1:
        raise UsageError("--samples must be 1 or more, or all.", f"{SAMPLES} is the default.")
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", options.device):
        raise UsageError(f"There is no device {options.device!r}.", "One of: auto, cpu, cuda, cuda:0, cuda:1, ...")
    _check_examples(options)
    _check_votes(options)


def _check_examples(options: ScoreOptions) -> None:
    if options.examples < 1:
        raise UsageError("--examples must be 1 or more.", "The published tables use 2.")
    if options.example_orders < 1:
        raise UsageError(
            "--example-orders must be 1 or more.", "With as many as there are examples each stands in each place."
        )
    if options.example_choice not in EXAMPLE_CHOICES:
        raise UsageError(
            f"There is no choice of examples {options.example_choice!r}.", f"One of: {', '.join(EXAMPLE_CHOICES)}."
        )


def _check_votes(options: ScoreOptions) -> None:
    if options.votes < 2:
        raise UsageError("--votes must be 2 or more.", "The published filter samples 15 answers.")
    if not 0 < options.vote_temperature < float("inf"):
        raise UsageError("--vote-temperature must be above 0.", "The published filter uses 1.1.")


def options_without_effect(options: ScoreOptions) -> list[str]:
    """Names of changed options that only metrics use which were not asked for."""
    metrics = options.metrics or default_metrics()
    names: list[str] = []
    if ContextKind.SELF_ALIGNED not in contexts_needed(metrics):
        names += ["examples", "example_choice", "example_orders", "prompt_template"]
    if Input.TARGET_VOTE not in inputs_needed(metrics):
        names += ["votes", "vote_temperature"]
    defaults = {field.name: field.default for field in fields(ScoreOptions)}
    return [name for name in names if getattr(options, name) != defaults[name]]


def check_inputs(reader: sqlite3.Connection, options: ScoreOptions) -> None:
    """Raises SapError where the trusted pairs or the small model's run that are named do not serve."""
    if options.valid and strategy_by_path(reader, options.valid) is None:
        raise NotFoundError(
            f"There is no strategy {options.valid}.",
            "Import the trusted pairs as a strategy of any task and name it as TASK/STRATEGY.",
        )
    if options.small_model_run is not None:
        _check_small_run(run_by_id(reader, options.small_model_run), options)


def _check_small_run(run: Run, options: ScoreOptions) -> None:
    if run.task != options.task:
        raise UsageError(f"Run {run.id} scored task {run.task}, not {options.task}.", "Score this task under it.")
    if run.state is not RunState.DONE:
        raise SapError(f"Run {run.id} is not done ({run.shown}).", "Wait until the small model has scored everything.")
