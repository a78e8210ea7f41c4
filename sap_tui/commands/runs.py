"""sap-tui runs, cancel, pause, resume: the queue from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from core.domain import Run


def add_parsers(verbs: Any) -> None:
    listing = verbs.add_parser("runs", help="runs with their progress", description="All runs, newest first.")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_runs)
    for verb, text in (
        ("cancel", "end a run; what is scored is kept"),
        ("pause", "stop a run after its chunk and free the device"),
        ("resume", "go on with a paused, interrupted, failed or cancelled run"),
    ):
        parser = verbs.add_parser(verb, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.add_argument("number", type=int, metavar="RUN", help="the run's number")
        parser.set_defaults(run=change, verb=verb, foreground=False)
        if verb == "resume":
            parser.add_argument("--foreground", action="store_true", help="go on in this process")


def list_runs(arguments: argparse.Namespace) -> int:
    from core.store.db import open_reader, prepare
    from core.store.runs import runs

    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    found = runs(reader)
    if arguments.json:
        print(json.dumps([run_json(run) for run in found], ensure_ascii=False))
    elif found:
        _print_table(found)
        _print_loaded(reader)
    else:
        print("No run yet. Start one: sap-tui score --task NAME --model MODEL", file=sys.stderr)
    return 0


def change(arguments: argparse.Namespace) -> int:
    from core.jobs.launcher import ensure_runner
    from core.store.db import Writer, prepare
    from core.store.runs import wish_cancel, wish_pause, wish_resume

    prepare(arguments.catalogue)
    wish = {"cancel": wish_cancel, "pause": wish_pause, "resume": wish_resume}[arguments.verb]
    with Writer(arguments.catalogue) as writer, writer.transaction() as connection:
        wish(connection, arguments.number)
        if arguments.foreground:
            connection.execute("UPDATE runs SET want = 'pause' WHERE id = ?", (arguments.number,))
    if arguments.foreground:
        from sap_tui.commands.foreground import work_here

        return work_here(arguments.catalogue, arguments.number)
    ensure_runner(arguments.catalogue)
    print(f"Run {arguments.number}: {arguments.verb} asked for.", file=sys.stderr)
    return 0


def run_json(run: Run) -> dict[str, object]:
    """The run as the JSON object that `runs` and `score` print."""
    return {
        "run": run.id, "task": run.task, "model": run.model, "state": str(run.state), "shown": run.shown,
        "phase": run.phase, "done": run.done, "total": run.total, "errors": run.errors, "reused": run.reused,
        "phase_done": run.phase_done, "phase_total": run.phase_total,
        "tokens_done": run.tokens_done, "tokens_total": run.tokens_total,
        "tokens_per_second": run.tokens_per_second, "share_done": run.share_done, "seconds_left": run.seconds_left,
        "token_budget": run.token_budget, "peak_memory": run.peak_memory,
        "why": run.why, "strategies": list(run.strategies), "questions": run.questions,
        "metrics": list(run.request.metrics), "quantization": run.request.quantization, "dtype": run.request.dtype,
        "device": run.device or run.request.device, "engine": run.engine, "attempt": run.attempt,
        "pid": run.owner.pid if run.owner and run.state == "running" else None, "log": run.log,
        "created_at": run.created_at, "started_at": run.started_at, "ended_at": run.ended_at,
    }  # fmt: skip


def _print_table(found: list[Run]) -> None:
    from core.text import visible
    from sap_tui.commands.progress import progress_line
    from sap_tui.commands.tables import print_table

    rows = [
        (
            str(run.id),
            visible(run.task),
            visible(run.model),
            precision(run),
            run.shown,
            f"{run.done:,}/{run.total:,}" if run.total else "",
            visible(run.why) or (progress_line(run) if run.state == "running" else ""),
        )
        for run in found
    ]
    print_table(("run", "task", "model", "precision", "state", "done", ""), rows, right=(0, 5))


def _print_loaded(reader: sqlite3.Connection) -> None:
    """Which models stay in memory though nothing is scored."""
    import math
    import time

    from core.jobs.scorers import idle_scorers
    from core.text import visible

    sys.stdout.flush()
    for scorer in idle_scorers(reader):
        minutes = max(1, math.ceil(((scorer.free_at or 0) - time.time()) / 60))
        until = f"for {minutes} more minute{'s' if minutes > 1 else ''} (free it: sap-tui free)"
        print(f"{visible(scorer.model)} stays loaded on {visible(scorer.device)} {until}", file=sys.stderr)


def precision(run: Run) -> str:
    """Quantization and dtype in one word, for example `nf4 bfloat16`."""
    request = run.request
    return request.dtype if request.quantization == "none" else f"{request.quantization} {request.dtype}"
