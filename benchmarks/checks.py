"""What was to be reached and what was measured: ratios of medians, each beside what the operations alone allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.contestants import LM_EVAL_1, LM_EVAL_S, PACKED, PAPER
from benchmarks.plan import GROWTH_6, GROWTH_48, IN_CONTEXT, IN_CONTEXT_20, JOB, LONG_8, PAPER_JOB
from benchmarks.record import Row, typical

BOUND_BROKEN = "above what the operations allow: look for a mistake in the benchmark"
# The loss over all logits, which others compute and sap-tui does not, is no matrix product and not in the operations.
_BEYOND_OPERATIONS = 1.1


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. `bound` is the ratio of operations; `measured` is None where something has no time."""

    what: str
    goal: float
    is_floor: bool
    style: str
    measured: float | None
    bound: float | None = None

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.is_floor and self.bound is not None and self.measured > self.bound * _BEYOND_OPERATIONS:
            return BOUND_BROKEN
        reached = self.measured >= self.goal if self.is_floor else self.measured < self.goal
        return "reached" if reached else "missed"


class Measured:
    """A record's rows by contestant and case, with their typical times: CPU time, on a GPU wall time."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._rows: dict[tuple[str, str], Row] = {(row["contestant"], row["case"]): row for row in record["rows"]}
        self._clock = "cpu_seconds" if record["device"] == "cpu" else "wall_seconds"

    def row(self, contestant: str, case: str) -> Row | None:
        return self._rows.get((contestant, case))

    def seconds(self, contestant: str, case: str) -> float | None:
        row = self.row(contestant, case)
        return typical(row[self._clock]) if row else None

    def ratio(self, slow: Iterable[tuple[str, str]], fast: tuple[str, str]) -> float | None:
        """The best of the slow ones over the fast one."""
        times = [seconds for pair in slow if (seconds := self.seconds(*pair)) is not None]
        own = self.seconds(*fast)
        return min(times) / own if times and own else None

    def operations_ratio(self, slow: tuple[str, str], fast: tuple[str, str]) -> float | None:
        first, second = self.row(*slow), self.row(*fast)
        return first["operations"] / second["operations"] if first and second else None


def checks(record: dict[str, Any]) -> list[Check]:
    """The goals, in the order in which they were set; on a GPU the one for bfloat16."""
    measured = Measured(record)
    if record["device"] != "cpu" and (record["dtype"], record["quantization"]) != ("bfloat16", "none"):
        return []
    if record["device"] != "cpu":
        return [Check("model FLOP utilization, sap-tui packed", 0.45, True, "{:.2f}", utilization(record, PACKED.name))]
    return [*_speed_checks(measured), _growth_check(measured), _memory_check(measured), _job_check(measured),
        _overhead_check(record)]  # fmt: skip


def utilization(record: dict[str, Any], contestant: str, case: str = LONG_8.name) -> float | None:
    """Share of the card's measured ceiling that the operations of a case came to."""
    row = Measured(record).row(contestant, case)
    if not row or not row["wall_seconds"] or not record["ceiling"]:
        return None
    return float(row["operations"] / median(row["wall_seconds"]) / record["ceiling"]["operations_per_second"])


def _speed_checks(measured: Measured) -> list[Check]:
    lm_eval = (LM_EVAL_1.name, LM_EVAL_S.name)
    return [
        _speed(measured, "in-context pass, S = 6, against the paper's loop", (PAPER.name,), IN_CONTEXT.name, 3.3),
        _speed(measured, "the same against lm-eval at its best batch", lm_eval, IN_CONTEXT.name, 3.3),
        _speed(measured, "S = 20 against the paper's loop", (PAPER.name,), IN_CONTEXT_20.name, 4.5),
    ]


def _speed(measured: Measured, what: str, others: tuple[str, ...], case: str, goal: float) -> Check:
    slow, own = [(other, case) for other in others], (PACKED.name, case)
    ratio, bound = measured.ratio(slow, own), measured.operations_ratio(slow[0], own)
    return Check(what, goal, True, "{:.2f}x", ratio, bound)


def _growth_check(measured: Measured) -> Check:
    few, many = (PACKED.name, GROWTH_6.name), (PACKED.name, GROWTH_48.name)
    what = "cost of S = 48 over S = 6, P = 1000, R = 200"
    return Check(what, 6.2, False, "{:.2f}x", measured.ratio([many], few), measured.operations_ratio(many, few))


def _memory_check(measured: Measured) -> Check:
    row = measured.row(PACKED.name, IN_CONTEXT.name)
    ratio = row["peak_bytes"] / row["load_peak_bytes"] if row and row["load_peak_bytes"] else None
    return Check("peak resident memory over the peak at the end of loading, S = 6", 1.1, False, "{:.2f}x", ratio)


def _job_check(measured: Measured) -> Check:
    slow, fast = (PAPER.name, PAPER_JOB.name), (PACKED.name, JOB.name)
    ratio, bound = measured.ratio([slow], fast), measured.operations_ratio(slow, fast)
    return Check("whole job, S = 6, against the paper's loop", 2.6, True, "{:.2f}x", ratio, bound)


def _overhead_check(record: dict[str, Any]) -> Check:
    found = record["overhead"]
    share = outside_model(found["rounds"]) if found else None
    return Check("share of a run's wall time outside the model", 0.15, False, "{:.1%}", share)


def outside_model(rounds: list[dict[str, Any]]) -> float:
    """Median share of wall time that was not spent in forward passes and the head."""
    return median([1 - float(run["model_seconds"] / run["wall_seconds"]) for run in rounds])
