"""The protocol of the self-aligned-perplexity paper's tables (arXiv 2502.11779), ties by the clean rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from core.errors import SapError
from core.ingest.score_tables import OutcomeRow, ScoreRow
from core.judging.examples import EXAMPLES, with_examples
from core.judging.notes import Places
from core.judging.pairs import Pair, Pairs

ROW_RANGES = ((0, 50), (50, 100), (100, 150))
CANDIDATES = (
    "claude",
    "gpt4",
    "mini_gpt4",
    "step_by_step",
    "openai_human_written_examples",
    "gpt4_style_in_context_examples",
)
FROM_SOLUTIONS = ("rewrite_groundtruth_in_own_words", "groundtruth")
TASKS_WITH_SOLUTIONS = ("gsm8k", "math_algebra", "ecqa", "math_geometry")
# There the two count for the spread, but they are not ranked.
TASKS_WITH_WIDER_SPREAD = ("mbpp",)
PLANNING = tuple(
    f"plan_bench_{name}"
    for name in ("generation", "optimality", "generalization", "reuse", "replaning", "verification")
)
STANDS_IN = {"step_by_step": "step_by_step_raw"}

_Key = tuple[str, str]
_Accuracies = Mapping[_Key, Mapping[str, Mapping[int, float]]]
_Rows = Mapping[tuple[str, str, str, str], Mapping[tuple[int, int], ScoreRow]]


def sap_paper_pairs(
    scores: Sequence[ScoreRow], outcomes: Sequence[OutcomeRow], *, examples: int | None = None, planning: bool = False
) -> Pairs:
    """The pairs of the main tasks, or of the planning tasks; SapError if there is none.

    The planning tables sort a seventh strategy and drop it before anything is computed from the order, which
    changes nothing about the other six: it is not looked at here.
    """
    metrics = tuple(dict.fromkeys(row.metric for row in scores))
    places = Places()
    counted, notes = with_examples(scores, EXAMPLES if examples is None else examples)
    rows = _rows(counted)
    accuracies = _accuracies(outcomes, planning)
    scored = {(target, task, strategy) for target, task, _, strategy in rows}
    pairs = []
    for (target, task), by_strategy in accuracies.items():
        found = [name for name in _candidates(task) if name in by_strategy and _is_scored(scored, target, task, name)]
        if len(found) < 2:
            places.add("fewer than 2 strategies have a score and an outcome", f"{task} under {target}")
            continue
        pairs.append(_pair((target, task), found, by_strategy, rows, metrics, places))
    if not pairs:
        raise SapError(
            "The files have no pair of target model and task for this protocol.",
            "Needed are its strategies and tasks (see docs/judging.md); --protocol plain takes every strategy.",
        )
    return Pairs("sap-paper", tuple(pairs), metrics, by_position=True, notes=(*notes, *places.notes()))


def _candidates(task: str) -> tuple[str, ...]:
    return (*CANDIDATES, *FROM_SOLUTIONS) if task in TASKS_WITH_SOLUTIONS else CANDIDATES


def _is_of_table(task: str, planning: bool) -> bool:
    return task in PLANNING if planning else not task.startswith("plan_bench_")


def _is_scored(scored: set[tuple[str, str, str]], target: str, task: str, name: str) -> bool:
    return (target, task, name) in scored or (target, task, STANDS_IN.get(name, name)) in scored


def _accuracies(outcomes: Sequence[OutcomeRow], planning: bool) -> _Accuracies:
    """By pair, strategy and seed: rounded to 3 decimals, without zeros."""
    found: dict[_Key, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in outcomes:
        accuracy = round(row.accuracy, 3)
        if accuracy and row.target_model is not None and row.task is not None and _is_of_table(row.task, planning):
            found[row.target_model, row.task][row.strategy][row.seed] = accuracy
    return found


def _rows(scores: Sequence[ScoreRow]) -> _Rows:
    """By target model, task, metric and strategy: the scores on the three row ranges."""
    found: dict[tuple[str, str, str, str], dict[tuple[int, int], ScoreRow]] = defaultdict(dict)
    for row in scores:
        if row.rows in ROW_RANGES:
            found[row.target_model, row.task, row.metric, row.strategy][row.rows] = row
    return found


def _pair(
    key: _Key,
    candidates: Sequence[str],
    accuracies: Mapping[str, Mapping[int, float]],
    rows: _Rows,
    metrics: Sequence[str],
    places: Places,
) -> Pair:
    target, task = key
    means = np.array([np.mean(list(accuracies[name].values())) for name in candidates])
    scores = {}
    for metric in metrics:
        table = np.array([_ranges(rows, (*key, metric), name) for name in candidates]).T
        missing = [name for name, usable in zip(candidates, np.isfinite(table).all(axis=0), strict=True) if not usable]
        if missing:
            line = _unusable_line(rows, (*key, metric), missing[0])
            places.add(
                f"{metric} is not judged where a candidate has no finite score",
                f"{f'line {line}: ' if line else ''}{missing[0]}, {task}, {target}",
            )
        else:
            scores[metric] = table
    return Pair(target, task, tuple(candidates), means, _spread(task, candidates, accuracies), scores)


def _ranges(rows: _Rows, key: tuple[str, str, str], strategy: str) -> list[float]:
    by_range = _of_strategy(rows, key, strategy)
    return [by_range[each].value if each in by_range else float("nan") for each in ROW_RANGES]


def _unusable_line(rows: _Rows, key: tuple[str, str, str], strategy: str) -> int | None:
    """The line of the first score that is not finite; None where the score is missing."""
    found = _of_strategy(rows, key, strategy).values()
    return next((row.line for row in found if not np.isfinite(row.value)), None)


def _of_strategy(rows: _Rows, key: tuple[str, str, str], strategy: str) -> Mapping[tuple[int, int], ScoreRow]:
    return rows.get((*key, strategy)) or rows.get((*key, STANDS_IN.get(strategy, strategy))) or {}


def _spread(task: str, candidates: Sequence[str], accuracies: Mapping[str, Mapping[int, float]]) -> float:
    """Standard deviation (ddof = 1) of the accuracies of seed 0; 0 where fewer than two have one."""
    wider = FROM_SOLUTIONS if task in TASKS_WITH_WIDER_SPREAD else ()
    names = (*candidates, *(name for name in wider if name in accuracies))
    first = [accuracies[name][0] for name in names if 0 in accuracies[name]]
    return float(np.std(first, ddof=1)) if len(first) > 1 else 0.0
