"""sap-tui runs, cancel, pause, resume: the queue from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from core.domain import Run
    from core.store.run_details import RunDetails


DESCRIPTION = """\
All runs, newest first, or one with its events and speeds. With --watch the table refreshes; where the output is no
terminal there is a line at every change. --watch ends with 1 if a run failed meanwhile."""


def add_parsers(verbs: Any) -> None:
    listing = verbs.add_parser("runs", help="runs with their progress", description=DESCRIPTION)
    listing.add_argument("number", nargs="?", type=integer, metavar="RUN", help="everything about this run")
    listing.add_argument("--watch", action="store_true", help="go on showing until no run goes on by itself")
    listing.add_argument("--json", action="store_true", help="print JSON; with --watch an object at every change")
    changing = listing.add_mutually_exclusive_group()
    changing.add_argument("--delete", type=integer, metavar="N", help="delete a run that has ended; its scores stay")
    changing.add_argument("--restore", type=integer, metavar="N", help="bring a deleted run back, within a week")
    listing.set_defaults(run=list_runs)
    for verb, text in (
        ("cancel", "end a run; what is scored is kept"),
        ("pause", "stop a run after its chunk and free the device"),
        ("resume", "go on with a paused, interrupted, failed or cancelled run"),
    ):
        parser = verbs.add_parser(verb, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.add_argument("number", type=integer, metavar="RUN", help="the run's number")
        parser.set_defaults(run=change, verb=verb, foreground=False)
        if verb == "resume":
            parser.add_argument("--foreground", action="store_true", help="go on in this process")


def list_runs(arguments: argparse.Namespace) -> int:
    from core.processes.identity import is_gone
    from core.store.db import open_reader, prepare
    from core.store.runs import run_by_id, runs

    prepare(arguments.catalogue)
    if arguments.delete is not None or arguments.restore is not None:
        return _delete_or_restore(arguments)
    if arguments.watch:
        from sap_tui.commands.watching import watch_runs

        try:
            return watch_runs(arguments.catalogue, arguments.number, as_json=arguments.json, lines=table_lines)
        except KeyboardInterrupt:
            print("Runs go on in the background. See them: sap-tui runs", file=sys.stderr)
            raise
    reader = open_reader(arguments.catalogue)
    if arguments.number is not None:
        run = run_by_id(reader, arguments.number, is_gone)
        _print_details(reader, run, arguments.json)
        _say_interrupted(arguments.catalogue, [run])
        return 0
    found = runs(reader, is_gone=is_gone)
    if arguments.json:
        print(json.dumps([run_json(run) for run in found], ensure_ascii=False))
    elif found:
        print("\n".join(table_lines(found)))
        _print_loaded(reader)
    else:
        print("No run yet. Start one: sap-tui score --task NAME --model MODEL", file=sys.stderr)
    _say_interrupted(arguments.catalogue, found)
    return 0


def _say_interrupted(catalogue: Path, found: Sequence[Run]) -> None:
    """A runner puts runs whose process is gone back into the queue; without one they would stay so."""
    from core.processes.launcher import runner_lives
    from core.store.file_systems import on_read_only_disk

    gone = [run for run in found if run.shown == "interrupted" and run.state == "running"]
    if gone and not on_read_only_disk(catalogue) and not runner_lives(catalogue):
        print(f"No runner is at work. Go on: sap-tui resume {gone[-1].id}", file=sys.stderr)


def _delete_or_restore(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.store.db import Writer
    from core.store.deletion import delete_run, restore_run, sweep_deleted

    if arguments.number is not None or arguments.watch or None not in (arguments.delete, arguments.restore):
        raise UsageError("One run at a time is deleted or restored.", "Write: sap-tui runs --delete RUN")
    with Writer(arguments.catalogue) as writer:
        if arguments.restore is not None:
            restore_run(writer, arguments.restore)
            print(f"Run {arguments.restore}: restored.", file=sys.stderr)
            return 0
        delete_run(writer, arguments.delete)
        back = f"sap-tui runs --restore {arguments.delete} brings it back, within a week"
        print(f"Run {arguments.delete}: deleted; {back}.", file=sys.stderr)
        sweep_deleted(writer)
    return 0


def change(arguments: argparse.Namespace) -> int:
    from core.processes.launcher import ensure_runner
    from core.store.db import Writer, prepare
    from core.store.runs import wish_cancel, wish_pause, wish_resume
    from sap_tui.commands.foreground import refuse_at_work, work_here

    prepare(arguments.catalogue)
    wish = {"cancel": wish_cancel, "pause": wish_pause, "resume": wish_resume}[arguments.verb]
    if arguments.verb == "resume":
        _take_up_after_reboot(arguments.catalogue, arguments.number)
    with Writer(arguments.catalogue) as writer, writer.transaction() as connection:
        if arguments.foreground:
            refuse_at_work(connection, arguments.number)
        wish(connection, arguments.number)
        if arguments.foreground:
            held = "UPDATE runs SET want = 'pause' WHERE id = ? AND state = 'queued'"
            connection.execute(held, (arguments.number,))
    if arguments.foreground:
        return work_here(arguments.catalogue, arguments.number)
    ensure_runner(arguments.catalogue)
    print(f"Run {arguments.number}: {arguments.verb} asked for.", file=sys.stderr)
    return 0


def _take_up_after_reboot(catalogue: Path, number: int) -> None:
    """Before a runner finds the run, which would pause it: somebody has said already that it is to go on."""
    from core.clock import boot_id
    from core.jobs.claim import Death, requeue_orphan
    from core.processes.identity import is_gone
    from core.store.db import Writer
    from core.store.runs import run_by_id

    with Writer(catalogue) as writer:
        run = run_by_id(writer.connection, number)
        if run.state == "running" and run.owner and run.owner.boot != boot_id() and is_gone(run.owner):
            requeue_orphan(writer, number, run.owner, Death(""), rebooted=True, auto_resume=True)


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


def details_json(run: Run, details: RunDetails) -> dict[str, object]:
    """The run as `runs` prints it, with everything that is known beside it."""
    from dataclasses import asdict

    look = details.next_look
    return {
        **run_json(run),
        "seconds_left": details.seconds_left(run),
        "out": dict(details.out),
        "next_look": asdict(look) | {"seconds_left": details.seconds_to_look(run)} if look else None,
        "speeds": [asdict(speed) for speed in details.speeds],
        "events": [{"at": event.at, "level": event.level, "text": event.text} for event in details.events],
    }


def _print_details(reader: sqlite3.Connection, run: Run, as_json: bool) -> None:
    from core.store.run_details import run_details
    from core.text import visible
    from sap_tui.commands.run_facts import clock, run_facts

    details = run_details(reader, run)
    if as_json:
        print(json.dumps(details_json(run, details), ensure_ascii=False))
        return
    facts = [("run", str(run.id)), *((fact.name, fact.line) for fact in run_facts(run, details) if fact.text)]
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        print(f"{name:<{width}}  {visible(text)}")
    for event in details.events:
        level = "" if event.level == "info" else f"{event.level}: "
        print(f"{clock(event.at):<{width}}  {level}{visible(event.text)}")


def table_lines(found: Sequence[Run]) -> list[str]:
    """The runs as an aligned table."""
    from core.text import visible
    from sap_tui.commands.progress import progress_line
    from sap_tui.commands.tables import aligned

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
    return aligned(("run", "task", "model", "precision", "state", "done", ""), rows, right=(0, 5))


def _print_loaded(reader: sqlite3.Connection) -> None:
    from core.processes.scorers import idle_scorers
    from core.text import visible
    from sap_tui.commands.run_facts import loaded_words

    sys.stdout.flush()
    for scorer in idle_scorers(reader):
        print(f"{visible(loaded_words(scorer))} (free it: sap-tui free)", file=sys.stderr)


def precision(run: Run) -> str:
    """Quantization and dtype in one word, for example `nf4 bfloat16`."""
    request = run.request
    return request.dtype if request.quantization == "none" else f"{request.quantization} {request.dtype}"
