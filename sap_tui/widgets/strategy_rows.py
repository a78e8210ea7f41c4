"""Tasks and strategies as rows of the catalogue's table, and in full."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from textual.content import Content

from core.domain import RankRow, Run, Strategy, Task
from core.export.formats import verdict_sentence
from core.export.report import RankingReport
from sap_tui.bridge import Snapshot
from sap_tui.text import MUTED, joined, plain
from sap_tui.widgets.detail_pane import fields, section
from sap_tui.widgets.progress import state_label
from sap_tui.widgets.records import Column, Record, fitted
from sap_tui.words import ago, counted, within

SCORE_WIDTH = 9
COLUMNS = (
    Column("name", "strategy", 20, stretch=True, is_name=True),
    Column("responses", "responses", 11, "right"),
    Column("tokens", "tokens", 7, "right"),
    Column("rank", "rank", 6, "right"),
    Column("score", "score", SCORE_WIDTH, "right"),
    Column("run", "last run", 20),
    Column("teacher", "teacher", 16),
    Column("tags", "tags", 14),
    Column("updated", "updated", 12),
)
ALWAYS_SHOWN = ("name", "responses", "run", "updated")
LONGEST_PATH = 26


def task_row(task: Task, report: RankingReport | None) -> Record:
    """The heading over the strategies of a task."""
    by = f", ranked by {_ranked_by(report)}" if report else ""
    about = plain(f"  {counted(task.questions, 'question')}{by}", f"{MUTED} not bold")
    return Record(("task", task.id), (Content.assemble(plain(task.name), about),), heading=True)


def _ranked_by(report: RankingReport) -> str:
    return f"{report.ranking.metric}, run {report.run}, {report.model}"


def strategy_row(snapshot: Snapshot, strategy: Strategy, report: RankingReport | None) -> Record:
    """A strategy with its standing in the ranking of its task."""
    row = row_of(report, strategy)
    run = snapshot.last_runs.get((strategy.task, strategy.name))
    decided = report is not None and report.ranking.verdict == "decided"
    return Record(
        ("strategy", strategy.id),
        (
            Content.assemble("  ", plain(strategy.name)),
            Content(f"{strategy.responses:,}") if strategy.responses else Content.styled("none", "$warning"),
            Content(f"{row.mean_tokens:,.0f}" if row and row.mean_tokens is not None else ""),
            Content(_rank(report, row) if report and row else ""),
            Content.styled(
                _score(report, row) if report and row else "", "$success" if row and row.rank == 1 and decided else ""
            ),
            _run_words(run) if run else Content.styled("–", MUTED),
            plain(strategy.teacher, MUTED),
            plain(", ".join(strategy.tags), MUTED),
            Content.styled(ago(time.time() - strategy.updated_at), MUTED),
        ),
    )


def row_of(report: RankingReport | None, strategy: Strategy) -> RankRow | None:
    """The strategy's line of the ranking, if it has one."""
    return next((row for row in report.ranking.rows if row.strategy == strategy.name), None) if report else None


def _rank(report: RankingReport, row: RankRow) -> str:
    """Nothing where a strategy was ranked alone: that says nothing about those beside it."""
    if len(report.ranking.rows) == 1:
        return ""
    return f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _score(report: RankingReport, row: RankRow) -> str:
    by = next(metric for metric in report.metrics if metric.id == report.ranking.metric)
    return within(row.scores[by.id].value, by.decimals, SCORE_WIDTH)


def used_columns(rows: Sequence[Record]) -> tuple[list[Column], list[Record]]:
    """The columns in which something stands, no wider than needed, and the rows with only those."""
    cells = [row.cells for row in rows if not row.heading]
    used = [
        place
        for place, column in enumerate(COLUMNS)
        if column.id in ALWAYS_SHOWN or any(row[place].plain for row in cells)
    ]
    records = [row if row.heading else replace(row, cells=tuple(row.cells[place] for place in used)) for row in rows]
    return fitted([COLUMNS[place] for place in used], records), records


def strategy_details(snapshot: Snapshot, strategy: Strategy, report: RankingReport | None, new_run: str) -> Content:
    """What is known about a strategy, with its first response; `report` is the ranking of its task."""
    run, row = snapshot.last_runs.get((strategy.task, strategy.name)), row_of(report, strategy)
    described = fields(
        [
            ("task", plain(strategy.task)),
            ("teacher", plain(strategy.teacher)),
            ("tags", plain(", ".join(strategy.tags))),
            ("responses", Content(f"{strategy.responses:,}")),
            *(_standing(report, row) if report and row else ()),
            ("source", plain(_end_of(strategy.source))),
            ("updated", Content(ago(time.time() - strategy.updated_at))),
            ("last run", _run_words(run) if run else Content(f"none; {new_run} starts one")),
            ("note", plain(strategy.note)),
        ]
    )
    sample = snapshot.sample if snapshot.watched.strategy == strategy.id else None
    parts = [described, section("Prompt", strategy.prompt)]
    if sample:
        parts.append(section("First question", sample.question.text))
        parts.append(section("Its response", sample.response.text or "(empty)"))
    return Content("\n").join([part for part in parts if part.plain])


def _standing(report: RankingReport, row: RankRow) -> Iterator[tuple[str, Content]]:
    tokens, rank = row.mean_tokens, _rank(report, row)
    yield "tokens", Content(f"{tokens:,.0f} a response" if tokens is not None else "")
    yield "rank", Content(f"{rank} of {len(report.ranking.rows)}" if rank else "")
    yield report.ranking.metric, Content(_score(report, row))
    yield "scored in", plain(f"run {report.run}, {report.model}")


def task_details(snapshot: Snapshot, task: Task, report: RankingReport | None, new_run: str) -> Content:
    """What is known about a task; `report` is its ranking, `new_run` the key that starts a run."""
    run = snapshot.last_run(task.name)
    described = fields(
        [
            ("questions", Content(f"{task.questions:,}")),
            ("strategies", Content(f"{len(snapshot.strategies_of(task.name)):,}")),
            ("last run", _run_words(run) if run else Content(f"none; {new_run} starts one")),
            ("ranked by", plain(_ranked_by(report) if report else "")),
        ]
    )
    verdict = section("Verdict", verdict_sentence(report)) if report else Content()
    return Content("\n").join([part for part in (described, verdict) if part.plain])


def _end_of(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else f"…{path[-LONGEST_PATH:]}"


def _run_words(run: Run) -> Content:
    progress = f"{run.share_done:.0%}" if run.state == "running" else ""
    return joined([Content.styled(f"#{run.id}", MUTED), state_label(run), Content(progress)], " ")
