"""Working on a run in the calling process, for Slurm and containers."""

from __future__ import annotations

import sys
from pathlib import Path


def work_here(catalogue: Path, run: int) -> int:
    """Claim the run and do it in this process; 0 done, 1 failed, 130 interrupted with everything so far kept.

    RunError where another process is at work on it.
    """
    import signal

    from core.errors import RunError
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
        claim = claim_run(writer, run, paused_too=True)
    if claim is not None:
        scorer = Scorer(catalogue)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, scorer.stop)
        with daily_backups(catalogue), shown_while(catalogue, run):
            scorer.work(claim)
        scorer.close()
    ended = run_by_id(open_reader(catalogue), run)
    if claim is None and ended.state == "running" and ended.owner:
        raise RunError(f"Process {ended.owner.pid} is at work on run {run}.", "Watch it: sap-tui runs --watch")
    if ended.state.ended:
        return 0 if ended.state == "done" else 1
    stopped = f"Run {run} stopped: {ended.why}" if ended.why else "Interrupted"
    print(f"{visible(stopped).rstrip('.')}; go on with: sap-tui resume {run} --foreground", file=sys.stderr)
    return 130
