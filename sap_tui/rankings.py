"""Rankings for the screens, computed by `sap-tui rank` in a process of its own and kept while they are true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from core.domain import Interval, Ranking, RankRow, Run
from core.export.report import RankingReport
from core.metrics.base import Metric, ScoreArrays
from sap_tui.twin import ask, option


class NoRanking(str):
    """Why there is no ranking, for the user."""


class Rankings:
    """What was computed, by run, metric and how far the run was."""

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        # Imported columns by task, as the last snapshot had them: with other values a ranking is another one.
        self.columns: Mapping[str, tuple[int, float]] = {}
        self._known: dict[tuple[int, str | None], tuple[tuple[object, ...], RankingReport | NoRanking]] = {}

    def known(self, run: Run, metric: str | None = None) -> RankingReport | NoRanking | None:
        """What was computed for this run, as long as the run did not go on since."""
        progress, found = self._known.get((run.id, metric), (None, None))
        return found if progress == self.stamp_of(run) else None

    def latest(self, run: Run, metric: str | None = None) -> RankingReport | None:
        """What was computed last, even if the run went on since."""
        _, found = self._known.get((run.id, metric), (None, None))
        return found if isinstance(found, RankingReport) else None

    def report(self, run: Run | None) -> RankingReport | None:
        """The known ranking by the run's first metric, if there is one."""
        found = self.known(run) if run else None
        return found if isinstance(found, RankingReport) else None

    def stamp_of(self, run: Run) -> tuple[object, ...]:
        """Changes whenever the numbers of the run, or the imported columns of its task, may have changed."""
        return *progress_of(run), self.columns.get(run.task)

    async def compute(self, run: Run, metric: str | None = None) -> None:
        """Have the ranking by a metric (without one, by the run's first that has scores) known."""
        by, stamp = option("by", metric) if metric else [], self.stamp_of(run)
        answer = await ask(self._catalogue, "rank", str(run.id), "--format", "json", *by)
        found = NoRanking(answer.problem) if answer.code else report_from_object(json.loads(answer.stdout), run)
        self._known[run.id, metric] = (stamp, found)


def report_from_object(ranking: Mapping[str, Any], run: Run) -> RankingReport:
    """The report whose JSON object `rank --format json` printed."""
    return RankingReport(
        run=ranking["run"],
        task=ranking["task"],
        model=ranking["model"]["name"],
        model_digest=ranking["model"]["digest"],
        dtype=ranking["model"]["dtype"],
        quantization=ranking["model"]["quantization"],
        metrics=tuple(_metric(each) for each in ranking["metrics"]),
        ranking=Ranking(
            metric=ranking["metric"],
            verdict=ranking["verdict"],
            questions=ranking["questions"],
            rows=tuple(_row(row) for row in ranking["strategies"]),
            more_questions=ranking["more_questions"],
            left_out=ranking["left_out"],
            failed=ranking["failed"],
            warnings=tuple(ranking["warnings"]),
        ),
        partial=ranking["partial"] or "",
        notes=tuple(ranking["notes"]),
    )


def _metric(declared: Mapping[str, Any]) -> Metric:
    """A metric as far as it is shown; imported columns and plugins are not known to this process."""

    def not_here(arrays: ScoreArrays) -> NoReturn:
        raise NotImplementedError(f"{declared['id']} is computed by sap-tui rank")

    return Metric(**declared, contexts=(), numerator=not_here)


def _row(row: Mapping[str, Any]) -> RankRow:
    return RankRow(
        rank=row["rank"],
        rank_low=row["rank_low"],
        rank_high=row["rank_high"],
        strategy=row["strategy"],
        n=row["n"],
        p_best=row["p_best"],
        p_value=row["p_value"],
        separable=row["separable"],
        scores={metric: Interval(**interval) for metric, interval in row["scores"].items()},
        difference=None if row["difference"] is None else Interval(**row["difference"]),
        mean_tokens=row["mean_tokens"],
        accuracy=row["share_right"],
        same_family=row["same_family"],
    )


def progress_of(run: Run) -> tuple[object, ...]:
    """Changes whenever a run's numbers may have changed."""
    return run.state, run.shown, run.done, run.errors, run.strategies
