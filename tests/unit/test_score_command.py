"""The command that repeats a run: every field of its request comes back through the command line's own parser."""

from __future__ import annotations

import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from core.domain import Run, RunRequest, RunState
from core.export.score_command import CHAT_TEMPLATE_FILE, TEMPLATE_FILE, more_command, score_command, shell_line
from sap_tui.cli import build_parser
from sap_tui.commands.score import options_from

TEMPLATE = "{{ question }} {% for example in examples %}{{ example }} {% endfor %}"
PLAIN = RunRequest(model="tiny", path="/models/tiny", metrics=("sap", "ppl", "nll"))
CHANGED: dict[str, Any] = {
    "metrics": ("nll", "rsr"),
    "device": "cuda:1",
    "dtype": "bfloat16",
    "quantization": "nf4",
    "adapter": "/models/an adapter",
    "system": "--Be brief.\n'Now' $HOME `x`",
    "template_options": (("enable_thinking", False), ("level", 3), ("mode", "true"), ("style", "plain")),
    "samples": 7,
    "seed": 11,
    "examples": 3,
    "answer_filter": False,
    "example_choice": "usefulness",
    "example_orders": 2,
    "prompt_template": TEMPLATE,
    "until_decided": True,
    "valid": "gold task/human",
    "votes": 5,
    "vote_temperature": 0.7,
    "reward_model": "/models/reward",
    "small_model_run": 4,
    "chat_template": "{{ messages[0]['content'] }}",
    "control_tokens": "as_published",
}
# The name is found from the path, the answers that are counted belong to extended runs, the digest to the folder, the
# row number to the TASK/STRATEGY, the GPUs to the environment.
NOT_OPTIONS = {"model", "path", "answered", "reward_model_digest", "valid_strategy", "gpus"}


def run_of(request: RunRequest, **changes: Any) -> Run:
    run = Run(
        id=3, task="sums", model=request.model, request=request, state=RunState.DONE, shown="done", want="run",
        phase="", why="", fence=1, attempt=1, done=4, total=4, errors=0, reused=0, phase_done=0, phase_total=0,
        tokens_done=0, tokens_total=0, tokens_per_second=0.0, token_budget=0, peak_memory=0, device="cpu",
        engine="static", log="", spec=1, weights_digest="w", strategies=("plain", "-odd one"), questions=7, owner=None,
        beat_at=None, created_at=0.0, started_at=0.0, ended_at=1.0,
    )  # fmt: skip
    return replace(run, **changes)


def parsed(arguments: list[str], folder: Path) -> Any:
    (folder / TEMPLATE_FILE).write_text(TEMPLATE)
    (folder / CHAT_TEMPLATE_FILE).write_text(CHANGED["chat_template"])
    program, *rest = arguments
    assert program == "sap-tui"
    return options_from(build_parser().parse_args(rest))


def test_every_field_of_a_request_is_known_here() -> None:
    assert {field.name for field in fields(RunRequest)} == set(CHANGED) | NOT_OPTIONS


@pytest.mark.parametrize(
    "names", [*([name] for name in CHANGED), list(CHANGED), []], ids=lambda names: "+".join(names[:2])
)
def test_the_command_asks_for_the_same(names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = replace(PLAIN, **{name: CHANGED[name] for name in names})
    options = parsed(score_command(run_of(request)), tmp_path)
    assert (options.task, options.model, options.strategies) == ("sums", "/models/tiny", ("plain", "-odd one"))
    for name in CHANGED:
        wanted = getattr(request, name)
        if name == "metrics" and wanted == PLAIN.metrics:
            wanted = ()
        assert getattr(options, name) == wanted, name


def test_all_samples_are_asked_for(tmp_path: Path) -> None:
    options = parsed(score_command(run_of(replace(PLAIN, samples=None))), tmp_path)
    assert options.samples is None


def test_a_hub_model_is_named_with_its_commit(tmp_path: Path) -> None:
    request = replace(PLAIN, model="owner/name", path="/cache/models--owner--name/snapshots/abc")
    options = parsed(score_command(run_of(request), "abc"), tmp_path)
    assert (options.model, options.revision) == ("owner/name", "abc")
    options = parsed(score_command(run_of(replace(PLAIN, path="/cache/snapshots/abc", model="abc")), "abc"), tmp_path)
    assert (options.model, options.revision) == ("/cache/snapshots/abc", "")
    options = parsed(score_command(run_of(PLAIN), "v2"), tmp_path)
    assert (options.model, options.revision) == ("/models/tiny", "v2")


def test_an_extended_run_is_repeated_in_two_steps(tmp_path: Path) -> None:
    run = run_of(replace(PLAIN, samples=70, answered=50), questions=70)
    assert parsed(score_command(run), tmp_path).samples == 50
    assert more_command(run) == ["sap-tui", "score", "--more", "20", "RUN"]


def test_a_shell_reads_the_line_back() -> None:
    arguments = [
        "plain",
        "two words",
        "it's",
        "",
        "line\nbreak",
        "\x1b[2J",
        "right\u202eleft",
        "\\'\t'\\",
        "$HOME `id` !",
    ]
    line = shell_line(arguments)
    assert line.isprintable()
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert said.stdout.decode().split("\0")[:-1] == arguments
