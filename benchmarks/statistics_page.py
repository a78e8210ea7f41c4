"""The page docs/statistics.md, made from what docs/statistics.json holds and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

LOWEST, HIGHEST = 0.93, 0.97
MOST_WRONG = 0.05
INTERVALS = """\
Share of 95% intervals that hold the truth. Scores and differences of means and ratios have bootstrap-t intervals
(percentile ones below 10 questions and where draws have no spread), medians percentile ones; 1,000 draws here. From
100 questions on the share should lie in 93 to 97%; **bold** is what does not. 20 and 50 questions are as measured.
With 1,200 samples a figure's own standard error is about 0.6 points, with fewer samples more.
The published record is the per-row self-aligned perplexity of its main pairs, drawn with replacement from 300 rows,
whose mean is then the truth. Pairs with extreme values hold one above 20 times its strategy's median: such a mean
hangs on rows that a sample has or has not, and no interval made from the sample can know. There, look at `sap_nll`."""
VERDICTS = """\
"Decided" is wrong where the leader is not the best strategy; where all are equal, nobody is wrong, and the share that
is decided is shown. 50, 100 and 300 questions are one ranking at the end, "looks" the stopping of `--until-decided`
with a budget of 300. Wrong should be below 5%; **bold** is what is not."""
STOPPING = """\
`--until-decided` looks at 32, 48, 72, ... questions in a seeded order and at the end. At each look every strategy left
is held against the present leader by a sign-flip test, its statistic corrected for skewness (Hall 1992); the error is
spent over the looks (Lan and DeMets 1983) and over the strategies (Holm; Ye et al. 2013). Look *k* may have used
*k* / (*k* + 8) of the error rate, whatever the budget, so the looks of a run that stays undecided are still good when
it is extended. Scored is the share of strategies times 300 questions that was used; the pick agrees when it is that
of all 300. A run that stays undecided ends with all 300 questions of those left, so there the pick agrees unless its
strategy dropped out: the agreement says something about the decided runs and the drops, not about unseen questions.
Separable is what the ranking's own test of all 300 calls decided."""


def page(figures: dict[str, Any]) -> str:
    machine = ", ".join(f"{name}: {value}" for name, value in figures["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in figures["versions"].items())
    parts = [
        "# How far the statistics can be trusted",
        "Made by `make statistics` from `statistics.json`; do not edit.",
        f"- date: {figures['date']}, {figures['seconds']} s in all\n- {machine}\n- {versions}",
        "## Intervals", INTERVALS, _coverage(figures["coverage"]),
        "## Wrong leaders", VERDICTS, _verdicts(figures["verdicts"]),
        "## Stopping when decided", STOPPING, *_stopping(figures["stopping"], figures["orders"]),
        "## Speed", _speed(figures["speed"]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _coverage(rows: list[dict[str, Any]]) -> str:
    sizes = list(rows[0]["coverage"])
    return table(
        ["population", "interval of", "samples", *sizes],
        (
            [row["population"], row["interval"], str(row["samples"])]
            + [
                _marked(row["coverage"][size], int(size) >= 100 and not LOWEST <= row["coverage"][size] <= HIGHEST)
                for size in sizes
            ]
            for row in rows
        ),
    )


def _verdicts(rows: list[dict[str, Any]]) -> str:
    kinds = list(rows[0]["wrong"])
    return table(
        ["setting", "simulated", *(f"decided, {kind}" for kind in kinds), *(f"wrong, {kind}" for kind in kinds)],
        (
            [row["setting"], str(row["repeats"])]
            + [f"{row['decided'][kind]:.1%}" for kind in kinds]
            + [_marked(row["wrong"][kind], row["wrong"][kind] >= MOST_WRONG) for kind in kinds]
            for row in rows
        ),
    )


def _marked(share: float, off: bool) -> str:
    return f"**{share:.1%}**" if off else f"{share:.1%}"


def _stopping(rows: list[dict[str, Any]], orders: int) -> list[str]:
    if not rows:
        return ["The published record was not at hand."]
    separable = [row for row in rows if row["separable"]]
    summary = table(
        ["pairs", "number", "pick agrees", "decided", "scored"],
        [_mean(name, some) for name, some in (("separable with all 300", separable), ("all", rows)) if some],
    )
    each = table(
        ["pair", "strategies", "separable", "pick agrees", "decided", "scored"],
        (
            [row["pair"], str(row["strategies"]), "yes" if row["separable"] else "no"]
            + [f"{row[name]:.1%}" for name in ("agreed", "decided", "scored")]
            for row in rows
        ),
    )
    return [f"Means over {orders} seeded orders of the questions of every pair.", summary, each]


def _mean(name: str, rows: list[dict[str, Any]]) -> list[str]:
    shares = [sum(row[key] for row in rows) / len(rows) for key in ("agreed", "decided", "scored")]
    return [name, str(len(rows)), *(f"{share:.1%}" for share in shares)]


def _speed(found: dict[str, Any]) -> str:
    times = ", ".join(f"{seconds:.2f} s for {name}" for name, seconds in found["seconds"].items())
    return (
        f"A ranking of 20 strategies on 1,000 questions with 2,000 draws, with intervals, rank intervals, tests and "
        f"verdict: {times} (median of 5); peak memory of the process {found['peak_mb']:.0f} MB."
    )
