"""The command that asks for a run again, as arguments and as a line for a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from core.domain import Run, RunRequest
from core.metrics.registry import default_metrics
from core.text import visible

TEMPLATE_FILE = "prompt-template.jinja"
"""Where the command expects the text of the user's own prompt template."""
CHAT_TEMPLATE_FILE = "chat-template.jinja"
"""Where the command expects the text of the user's own chat template."""

_DEFAULTS = {field.name: field.default for field in fields(RunRequest)}
_PLAIN_OPTIONS = (
    "seed", "examples", "example_choice", "example_orders", "quantization", "device", "adapter", "system", "valid",
    "votes", "vote_temperature", "reward_model", "small_model_run", "control_tokens",
)  # fmt: skip


def score_command(run: Run, revision: str = "") -> list[str]:
    """`sap-tui score ...` with every option of the run's request that is not the default.

    `revision` is the model's, as its scores know it. Of an extended run it asks for the questions of the first part;
    `more_command` does the rest.
    """
    request = run.request
    samples = request.answered if is_extended(request) else request.samples
    model, revision = _model(request, revision)
    options = [("task", run.task), ("model", model)]
    options += [("strategy", name) for name in run.strategies]
    if request.metrics != default_metrics():
        options += [("metric", name) for name in request.metrics]
    options.append(("samples", "all" if samples is None else str(samples)))
    options += [(name, str(value)) for name, value in _changed(request)]
    options += [("revision", revision)] if revision else []
    options += [("dtype", request.dtype)]
    options += [("template-option", f"{name}={_value(value)}") for name, value in request.template_options]
    options += [("prompt-template", TEMPLATE_FILE)] if request.prompt_template else []
    options += [("chat-template", CHAT_TEMPLATE_FILE)] if request.chat_template else []
    flags = ["--no-answer-filter"] * (not request.answer_filter) + ["--until-decided"] * request.until_decided
    return ["sap-tui", "score", *(part for name, value in options for part in _option(name, value)), *flags]


def is_extended(request: RunRequest) -> bool:
    """Whether the run has more questions than the first part, whose answers are the pool of examples."""
    return request.answered is not None and not request.until_decided


def more_command(run: Run, first: str = "RUN") -> list[str]:
    """`sap-tui score --more N RUN`, with which an extended run went on from its first part."""
    return ["sap-tui", "score", "--more", str(run.questions - (run.request.answered or 0)), first]


def _changed(request: RunRequest) -> Iterator[tuple[str, object]]:
    for name in _PLAIN_OPTIONS:
        value = getattr(request, name)
        if value != _DEFAULTS[name]:
            yield name.replace("_", "-"), value


def _model(request: RunRequest, revision: str) -> tuple[str, str]:
    """The model's hub id with its commit where it came from the hub cache, else its folder or file."""
    path = Path(request.path)
    if path.parent.name == "snapshots" and request.model != path.name:
        return request.model, path.name
    return request.path, "" if revision == path.name else revision


def _value(value: str | bool | int | float) -> str:
    """As `--template-option` reads it: a text that looks like another JSON value is quoted."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


def _option(name: str, value: str) -> list[str]:
    """An option with a value that may begin with a dash."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def shell_line(arguments: Sequence[str]) -> str:
    """The command as a line for bash or zsh, without any control or hidden character."""
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    if visible(argument) == argument:
        return shlex.quote(argument)
    plain = argument.replace("\\", r"\\").replace("'", r"\'")
    return "$'{}'".format("".join(map(_escaped, plain)))


def _escaped(character: str) -> str:
    return character if visible(character) == character else rf"\U{ord(character):08x}"
