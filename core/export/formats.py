"""A ranking as JSON, CSV, Markdown and LaTeX text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from core.domain import RankRow
from core.export.csv_text import csv_text
from core.export.ranking_rows import ranking_object, table_columns, table_row
from core.export.report import RankingReport
from core.metrics.base import Metric
from core.text import visible

MOST_NAMES = 3
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "⟨": r"\textless{}",
    "⟩": r"\textgreater{}",
}
# An underscore inside a word is no markup, and strategy names are full of them.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$#!]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.")


def ranking_json(report: RankingReport) -> str:
    """The contract of `rank --format json`: one object, names as they are, all but printable ASCII escaped."""
    return json.dumps(ranking_object(report), indent=2, allow_nan=False) + "\n"


def ranking_csv(report: RankingReport) -> str:
    """The contract of `rank --format csv`: one row a strategy, values unrounded; names shown by `visible`, guarded."""
    return csv_text(table_columns(report), [table_row(row, report) for row in report.ranking.rows])


def ranking_markdown(report: RankingReport) -> str:
    """A heading, the verdict, a table with rounded values, what was left out, the warnings and the notes."""
    titles = _display_titles(report)
    aligned = ["---:", ":---", *(["---:"] * (len(titles) - 2))]
    rows = [[escape_markdown(cell) for cell in _display_row(row, report)] for row in report.ranking.rows]
    table = [f"| {' | '.join(cells)} |" for cells in ([escape_markdown(title) for title in titles], aligned, *rows)]
    notes = [f"- {escape_markdown(note)}" for note in _notes(report)]
    blocks = [f"# {escape_markdown(_heading(report))}", escape_markdown(verdict_sentence(report)), "\n".join(table)]
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])]) + "\n"


def ranking_latex(report: RankingReport) -> str:
    """A table for the booktabs package, values rounded; names beyond Latin letters need LuaLaTeX or XeLaTeX."""
    titles = _display_titles(report)
    body = [_latex_row(_display_row(row, report)) for row in report.ranking.rows]
    caption = " ".join([f"{_heading(report)}.", verdict_sentence(report), *_notes(report)])
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \begin{{tabular}}{{rl{'r' * (len(titles) - 2)}}}",
        r"    \toprule",
        _latex_row(titles),
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def verdict_sentence(report: RankingReport) -> str:
    """The verdict in words; names as they are."""
    ranking = report.ranking
    leader = ranking.rows[0].strategy
    tied = [row.strategy for row in ranking.rows if row.rank == 1]
    if ranking.verdict == "decided":
        return f"Decided: {leader} is the best by {ranking.metric} over {ranking.questions} questions."
    if len(ranking.rows) == 1:
        return f"Undecided: {leader} is the only strategy ranked."
    more = (
        "" if ranking.more_questions is None else f" About {_two_digits(ranking.more_questions)} more would decide it."
    )
    if len(tied) > 1:
        tie = f"{len(tied)} strategies tie by {ranking.metric} over {ranking.questions} questions"
        return f"Undecided: {tie}: {some_names(tied)}.{more}"
    return f"Undecided: {leader} leads by {ranking.metric}, but {ranking.questions} questions do not settle it.{more}"


def some_names(names: Sequence[str]) -> str:
    """A few of them, and how many others there are."""
    others = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {others} more" if others > 0 else "")


def _two_digits(number: int) -> str:
    """Rounded up to two significant digits: it is an estimate."""
    step: int = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // step) * step:,}"


def escape_markdown(text: str) -> str:
    """The text on one line, without meaning to Markdown or HTML."""
    return _MARKDOWN.sub(lambda match: _entity(match[0]), visible(text))


def escape_latex(text: str) -> str:
    """The text on one line, without meaning to LaTeX."""
    return "".join(_LATEX.get(character, character) for character in visible(text))


def _entity(markup: str) -> str:
    if markup in ("&", "<", ">", "//", "."):
        return "".join(f"&#{ord(character)};" for character in markup)
    return f"\\{markup}"


def _heading(report: RankingReport) -> str:
    precision = report.dtype if report.quantization == "none" else f"{report.dtype}, {report.quantization}"
    return f"Run {report.run}: {report.task} under {report.model} ({precision})"


def _title(metric: Metric) -> str:
    return f"{metric.id} (95%)"


def _display_titles(report: RankingReport) -> list[str]:
    controls = [title for title, is_known in zip(("tokens", "right"), _known_controls(report), strict=True) if is_known]
    return ["rank", "strategy", *(_title(metric) for metric in report.metrics), *controls, "P(best)", "n"]


def _known_controls(report: RankingReport) -> tuple[bool, bool]:
    """Whether any row has mean tokens, and an accuracy."""
    rows = report.ranking.rows
    return any(row.mean_tokens is not None for row in rows), any(row.accuracy is not None for row in rows)


def _display_row(row: RankRow, report: RankingReport) -> list[str]:
    places = (
        f"{row.rank}" if row.rank_low == row.rank_high == row.rank else f"{row.rank} ({row.rank_low}-{row.rank_high})"
    )
    scores = [_display_score(row, metric) for metric in report.metrics]
    shown = (
        "-" if row.mean_tokens is None else f"{row.mean_tokens:.1f}",
        "-" if row.accuracy is None else f"{row.accuracy:.0%}",
    )
    controls = [text for text, is_known in zip(shown, _known_controls(report), strict=True) if is_known]
    return [places, row.strategy, *scores, *controls, f"{row.p_best:.2f}", f"{row.n}"]


def _display_score(row: RankRow, metric: Metric) -> str:
    interval = row.scores.get(metric.id)
    if interval is None:
        return "-"
    value, low, high = (f"{number:.{metric.decimals}f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _notes(report: RankingReport) -> list[str]:
    partial = [f"Partial: {report.partial}."] if report.partial else []
    left_out = [f"Without a rank: {name} ({reason})." for name, reason in report.ranking.left_out.items()]
    return [*partial, *left_out, *report.ranking.warnings, *report.notes]


def _latex_row(cells: list[str]) -> str:
    return f"    {' & '.join(escape_latex(cell) for cell in cells)} \\\\"
