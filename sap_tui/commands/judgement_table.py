"""A judgement as tables for people, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.judging.judgement import Judgement
    from core.judging.over_tasks import Figure

NAME_CELLS = 34
PICKED_CELLS = 28
BEST_ONE = "the best one, known afterwards"
CORRELATIONS = {"spearman": "Spearman", "kendall": "Kendall tau-b", "pairwise": "pairs in order"}


def judgement_tables(
    judgement: Judgement, by_spread: Sequence[tuple[float | None, Judgement]], without_terse: Judgement | None
) -> str:
    """What every way of choosing gave, and how well every metric's order agrees with the outcomes.

    `by_spread` has the judgements whose spread-weighted correlations are shown, each with the least spread of its
    pairs; `without_terse` is the one of the long strategies alone.
    """
    blocks = [
        [_title(judgement)],
        _outcomes(judgement),
        _correlations("order of metric and outcomes", judgement),
        _weighted(by_spread) if judgement.pairs > 1 else [],
        _correlations("the same without terse strategies", without_terse) if without_terse else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def picks_table(judgement: Judgement, picked: Mapping[str, Sequence[str]]) -> list[str]:
    """Of one pair: every metric's pick with its outcome and regret, and the Spearman correlation of its order.

    `picked` has the picks by metric, and under BEST_ONE the best strategy.
    """
    rows = []
    for name, better, chosen, regret in ways_of_choosing(judgement, fixed=False):
        judged = judgement.metrics.get(name)
        spearman = _two_decimals(judged.figures["spearman"]) if judged else ""
        rows.append((name_cell(name), better, _picked(picked.get(name, ())), _short(chosen), _short(regret), spearman))
    header = ("strategy chosen by", "better", "picked", "outcome", "regret", "Spearman")
    return _table(header, rows, first_number=3)


def _picked(strategies: Sequence[str]) -> str:
    tied = f"{len(strategies)} tied: " if len(strategies) > 1 else ""
    return name_cell(f"{tied}{', '.join(strategies)}", PICKED_CELLS)


def ways_of_choosing(judgement: Judgement, *, fixed: bool = True) -> list[tuple[str, str, Figure, Figure]]:
    """Name, better direction, outcome and regret of every way to choose a strategy; the best one first."""
    always = [(f"always {name}", "", each.chosen, each.regret) for name, each in judgement.fixed.items()]
    picked = [
        (name, direction_word(judgement, name), judged.figures["chosen"], judged.figures["regret"])
        for name, judged in judgement.metrics.items()
    ]
    random = ("any one, at random", "", judgement.random.chosen, judgement.random.regret)
    ways = sorted([*(always if fixed else ()), *picked, random], key=lambda way: _outcome(way[2]), reverse=True)
    bound = judgement.upper_bound
    return [(BEST_ONE, "", bound.chosen, bound.regret), *ways]


def direction_word(judgement: Judgement, metric: str) -> str:
    """What is better, with a question mark where that is assumed."""
    direction = judgement.metrics[metric].direction
    return f"{direction.better}{'?' if direction.assumed else ''}"


def name_cell(name: str, cells: int = NAME_CELLS) -> str:
    """A name as it may stand in a table: safe, and cut where it is long."""
    from sap_tui.cells import on_screen, shortened

    return shortened(on_screen(name), cells)


def _title(judgement: Judgement) -> str:
    intervals = "; 95% intervals: bootstrap over tasks" if judgement.tasks > 1 else ""
    pairs, tasks = count_of(judgement.pairs, "pair"), count_of(judgement.tasks, "task")
    return f"{pairs} of target model and task, {tasks}, protocol {judgement.protocol}{intervals}"


def _outcomes(judgement: Judgement) -> list[str]:
    cells = [
        (name_cell(name), better, _percent(chosen), _percent(regret))
        for name, better, chosen, regret in ways_of_choosing(judgement)
    ]
    return _table(("strategy chosen by", "better", "outcome in %", "regret"), cells, first_number=2)


def _correlations(title: str, judgement: Judgement) -> list[str]:
    rows = [
        (name_cell(name), *(_number(judged.figures[each]) for each in CORRELATIONS))
        for name, judged in judgement.metrics.items()
    ]
    return _table((title, *CORRELATIONS.values()), rows)


def _weighted(by_spread: Sequence[tuple[float | None, Judgement]]) -> list[str]:
    columns: list[tuple[float | None, Judgement]] = []
    for threshold, above in by_spread:
        # A threshold that leaves no pair out would only repeat a column.
        if not columns or above.pairs < columns[-1][1].pairs:
            columns.append((threshold, above))
    titles = [
        f"{'all' if threshold is None else f'> {threshold:.3g}'} ({count_of(above.pairs, 'pair')})"
        for threshold, above in columns
    ]
    rows = [
        (name_cell(name), *(_number(above.metrics[name].figures["weighted_spearman"]) for _, above in columns))
        for name in columns[0][1].metrics
    ]
    return _table(("Spearman, weighted by spread", *titles), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], first_number: int = 1) -> list[str]:
    from sap_tui.commands.tables import aligned

    return aligned(header, rows, right=range(first_number, len(header)))


def _outcome(figure: Figure) -> float:
    return -1.0 if figure.value is None else figure.value


def _short(figure: Figure) -> str:
    return "-" if figure.value is None else f"{100 * figure.value:.1f}"


def _two_decimals(figure: Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.2f}"


def _percent(figure: Figure) -> str:
    return _with_interval(figure, 100.0, "4.1f")


def _number(figure: Figure) -> str:
    return _with_interval(figure, 1.0, "5.2f")


def _with_interval(figure: Figure, scale: float, form: str) -> str:
    if figure.value is None:
        return "-"
    value = f"{scale * figure.value + 0.0:.2f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{scale * figure.low:{form}}, {scale * figure.high:{form}}]"


def count_of(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"
