"""The agreement of metrics as a matrix of cells, as sentences, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.domain import Interval
from core.export.csv_text import csv_text
from core.export.formats import some_names
from core.stats.agreement import Agreement, Leader, Pair

LEGEND = (
    "Rank correlations over strategies: Spearman's rho below the diagonal, Kendall's tau-b above; 1 where two metrics "
    "order the strategies alike. In parentheses where the 95% interval holds 0."
)

OPPOSITE = -0.5


def agreement_matrix(agreement: Agreement) -> list[list[str]]:
    """A row of cells for every metric: rho left of the diagonal, tau-b right of it, `-` where it is not defined."""
    ids = [metric.id for metric in agreement.metrics]
    pairs = {(pair.first, pair.second): pair for pair in agreement.pairs}
    return [
        [
            ""
            if row == column
            else _cell(pairs[ids[row], ids[column]].kendall)
            if column > row
            else _cell(pairs[ids[column], ids[row]].spearman)
            for column in range(len(ids))
        ]
        for row in range(len(ids))
    ]


def _cell(correlation: Interval | None) -> str:
    if correlation is None:
        return "-"
    text = f"{correlation.value:.2f}"
    return f"({text})" if correlation.low <= 0 <= correlation.high else text


def pair_rows(agreement: Agreement) -> list[tuple[str, str, str, str, str]]:
    """Every pair with its 95% intervals: metrics, rho, tau-b, strategies and questions, or why there is none."""
    return [
        (f"{pair.first}, {pair.second}", *_correlations(pair), f"{pair.strategies}", f"{pair.questions}")
        for pair in agreement.pairs
    ]


def _correlations(pair: Pair) -> tuple[str, str]:
    if pair.spearman is None or pair.kendall is None:
        return f"- ({pair.why})", "-"
    rho, tau = (f"{each.value:.2f} [{each.low:.2f}, {each.high:.2f}]" for each in (pair.spearman, pair.kendall))
    return rho, tau


def leader_rows(agreement: Agreement) -> list[tuple[str, str, str, str]]:
    """Every metric with its questions, whether its leader is settled, and who it is."""
    directions = {metric.id: metric.direction for metric in agreement.metrics}
    return [
        (
            f"{leader.metric} ({directions[leader.metric]} is better)",
            f"{leader.questions}",
            "separable" if leader.separable else "not separable",
            _names(leader.strategies),
        )
        for leader in agreement.leaders
    ]


def agreement_sentences(agreement: Agreement) -> list[str]:
    """What the correlations and leaders say, in words; names as they are."""
    return [*_leader_sentences(agreement), *_other_sentences(agreement)]


def _other_sentences(agreement: Agreement) -> Iterator[str]:
    yield from _pair_sentences(agreement)
    yield from (f"{metric.id}: {metric.contested}" for metric in agreement.metrics if metric.contested)
    yield from (f"{name} cannot be had: {why}" for name, why in agreement.missing.items())


def _leader_sentences(agreement: Agreement) -> Iterator[str]:
    by_leader: dict[str, list[Leader]] = {}
    for leader in agreement.leaders:
        if len(leader.strategies) == 1:
            by_leader.setdefault(leader.strategies[0], []).append(leader)
    if len(by_leader) > 1:
        yield from _different_leaders(by_leader)
    for name, leaders in by_leader.items():
        if len(by_leader) == 1 and len(leaders) > 1:
            yield f"{len(leaders)} metrics name the same leader: {name}."
    for leader in agreement.leaders:
        if len(leader.strategies) > 1:
            yield f"{leader.metric} has no single leader: {_names(leader.strategies)}."


def _different_leaders(by_leader: Mapping[str, Sequence[Leader]]) -> Iterator[str]:
    named = "; ".join(f"{name} by {', '.join(map(_settled, leaders))}" for name, leaders in by_leader.items())
    yield f"The metrics name {len(by_leader)} different leaders: {named}."
    settled = [name for name, leaders in by_leader.items() if any(leader.separable for leader in leaders)]
    if len(settled) > 1:
        yield (
            f"{len(settled)} of these leaders are separable by a metric: the metrics contradict each other, and more "
            "questions will not settle it. Judge the metrics by outcomes: sap-tui judge."
        )
    else:
        yield "No two metrics contradict each other with separable leaders; more questions may settle it."


def _settled(leader: Leader) -> str:
    return f"{leader.metric} ({'separable' if leader.separable else 'not separable'})"


def _names(strategies: tuple[str, ...]) -> str:
    """The leader, or a few of those that are tied."""
    return strategies[0] if len(strategies) == 1 else f"{some_names(strategies)} (tied)"


def _pair_sentences(agreement: Agreement) -> Iterator[str]:
    if any(pair.strategies == 2 and pair.spearman for pair in agreement.pairs):
        yield "With 2 strategies a rank correlation can only be 1 or -1: it says no more than the leaders do."
    opposite = [
        f"{pair.first} and {pair.second} ({pair.spearman.value:.2f})"
        for pair in agreement.pairs
        if pair.spearman and pair.spearman.high < 0 and pair.spearman.value <= OPPOSITE
    ]
    if opposite:
        yield f"In opposite orders (rho at most {OPPOSITE}, its interval below 0): {', '.join(opposite)}."
    for why, count in Counter(pair.why for pair in agreement.pairs if pair.why).items():
        yield f"{count} pair{'s have' if count > 1 else ' has'} no correlation: {why}."


def agreement_csv(agreement: Agreement) -> str:
    """The contract of `agree --format csv`: one row a pair of metrics; empty where a correlation is not defined."""
    figures = [f"{name}{end}" for name in ("spearman", "kendall") for end in ("", "_low", "_high")]
    columns = ("first", "second", "strategies", "questions", *figures, "why")
    return csv_text(columns, [_cells(pair) for pair in agreement.pairs])


def _cells(pair: Pair) -> tuple[object, ...]:
    counts = (pair.first, pair.second, pair.strategies, pair.questions)
    return *counts, *_ends(pair.spearman), *_ends(pair.kendall), pair.why


def _ends(interval: Interval | None) -> tuple[float | None, ...]:
    return (None, None, None) if interval is None else (interval.value, interval.low, interval.high)


def agreement_object(agreement: Agreement) -> dict[str, Any]:
    """The agreement as JSON types, values unrounded, names as they are."""
    return {
        "metrics": [
            {"id": metric.id, "direction": metric.direction, "contested": metric.contested or None}
            for metric in agreement.metrics
        ],
        "pairs": [
            {
                "metrics": [pair.first, pair.second],
                "strategies": pair.strategies,
                "questions": pair.questions,
                "spearman": _interval_object(pair.spearman),
                "kendall": _interval_object(pair.kendall),
                "why": pair.why or None,
            }
            for pair in agreement.pairs
        ],
        "leaders": [
            {
                "metric": leader.metric,
                "strategies": list(leader.strategies),
                "separable": leader.separable,
                "questions": leader.questions,
            }
            for leader in agreement.leaders
        ],
        "missing": agreement.missing,
        "sentences": list(_leader_sentences(agreement)),
        "notes": list(_other_sentences(agreement)),
    }


def _interval_object(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"value": interval.value, "low": interval.low, "high": interval.high}
