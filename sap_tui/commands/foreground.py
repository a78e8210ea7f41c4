"""Working on a run in the calling process, for Slurm and containers."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path


def refuse_at_work(reader: sqlite3.Connection, number: int) -> None:
    """RunError where another process is at work on the run."""
    from core.errors import RunError
    from core.processes.identity import is_alive
    from core.store.runs import run_by_id

    run = run_by_id(reader, number)
    if run.state == "running" and run.owner and is_alive(run.owner):
        raise RunError(f"Process {run.owner.pid} is at work on run {number}.", "Watch it: sap-tui runs --watch")


def work_here(catalogue: Path, run: int) -> int:
    """Claim the run and do it in this process; 0 done, 1 failed, 130 interrupted with everything so far kept.

    RunError where another process is at work on it.
    """
    import signal

    from core.jobs.claim import claim_run
    from core.run_work.loading import prepare_environment
    from core.scorer import Scorer
    from core.store.db import Writer, open_reader
    from core.store.runs import run_by_id
    from core.store.upkeep import daily_backups
    from core.text import visible
    from sap_tui.commands.progress import shown_while

    prepare_environment()
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run, in_foreground=True)
    if claim is not None:
        scorer = Scorer(catalogue)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, scorer.stop)
        with daily_backups(catalogue), shown_while(catalogue, run):
            scorer.work(claim)
        scorer.close()
    reader = open_reader(catalogue)
    if claim is None:
        refuse_at_work(reader, run)
    ended = run_by_id(reader, run)
    if ended.state.ended:
        return 0 if ended.state == "done" else 1
    stopped = f"Run {run} stopped: {ended.why}" if ended.why else "Interrupted"
    print(f"{visible(stopped).rstrip('.')}; go on with: sap-tui resume {run} --foreground", file=sys.stderr)
    return 130
