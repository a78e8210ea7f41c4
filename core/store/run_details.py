"""What there is to know about one run beyond its row: events, speeds, strategies that are out, the next look."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.domain import Event, Run
from core.stats.look_sizes import look_sizes
from core.store.catalogue import valid_strategy
from core.store.runs import events
from core.store.speeds import Speed, speeds, units_per_second


@dataclass(frozen=True, slots=True)
class NextLook:
    """A run that ends when it is decided is looked at after so many questions; `tokens_left` are to be scored before,
    None while there is no plan."""

    questions: int
    tokens_left: int | None


@dataclass(frozen=True, slots=True)
class RunDetails:
    """`out` maps strategies that dropped out to why; `next_look` is None where there is none or none is left."""

    events: tuple[Event, ...] = ()
    speeds: tuple[Speed, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)
    next_look: NextLook | None = None

    def seconds_left(self, run: Run) -> float | None:
        """Estimate for the phase at hand; None while unknown."""
        if run.seconds_left is not None or run.phase == "scoring":
            return run.seconds_left
        rate = units_per_second(self.speeds, run.phase) if run.phase_total else None
        return (run.phase_total - run.phase_done) / rate if rate else None

    def seconds_to_look(self, run: Run) -> float | None:
        """Estimate until the next look; None while unknown."""
        left = self.next_look.tokens_left if self.next_look else None
        return None if left is None or run.seconds_left is None else left / run.tokens_per_second


def run_details(reader: sqlite3.Connection, run: Run) -> RunDetails:
    """Read the details of a run."""
    out = reader.execute(
        "SELECT strategies.name, run_strategies.out FROM run_strategies"
        " JOIN strategies ON strategies.id = run_strategies.strategy"
        " WHERE run_strategies.run = ? AND run_strategies.out <> '' ORDER BY run_strategies.position",
        (run.id,),
    )
    return RunDetails(
        events=tuple(events(reader, run.id)),
        speeds=tuple(speeds(reader, run.id)),
        out=dict(out.fetchall()),
        next_look=_next_look(reader, run),
    )


def earlier_responses(reader: sqlite3.Connection, run: Run) -> list[str]:
    """A line for every strategy of a run that was replaced or deleted since, its valid set among them."""
    rows = reader.execute(
        "SELECT name, EXISTS (SELECT 1 FROM run_strategies WHERE run = :run AND strategy = id) AS is_compared,"
        " EXISTS (SELECT 1 FROM strategies AS later WHERE later.task = strategies.task"
        " AND later.name = strategies.name AND later.deleted_at IS NULL) AS is_replaced"
        " FROM strategies WHERE deleted_at IS NOT NULL AND (id = :valid OR is_compared) ORDER BY name",
        {"run": run.id, "valid": valid_strategy(reader, run.request)},
    )
    return [
        f"{'The strategy' if row['is_compared'] else 'The valid set'} '{row['name']}' was"
        f" {'replaced' if row['is_replaced'] else 'deleted'} since; run {run.id} has its earlier responses."
        for row in rows
    ]


def _next_look(reader: sqlite3.Connection, run: Run) -> NextLook | None:
    """Chunks do not reach over a look, so the first open one is scored before the next."""
    if not run.request.until_decided or run.state.ended:
        return None
    sizes = look_sizes(run.questions)
    stage, left = reader.execute(
        "SELECT stage, sum(tokens) FROM chunks WHERE run = ? AND fence IS NULL GROUP BY stage ORDER BY stage LIMIT 1",
        (run.id,),
    ).fetchone() or (None, None)
    if stage is not None:
        return NextLook(sizes[stage], left)
    planned = reader.execute("SELECT planned FROM runs WHERE id = ?", (run.id,)).fetchone()[0]
    return None if planned else NextLook(sizes[0], None)
