"""The report of a run as Markdown and HTML: what it says, and that no text in it becomes markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from core.domain import Event, Interval, Ranking, RankRow, Run, RunRequest, RunState, ScoreSpec
from core.export.document import to_html, to_markdown
from core.export.interval_plot import Bar, IntervalPlot
from core.export.report import RankingReport
from core.export.run_report import RunReport, StrategyFacts, run_document
from core.metrics.base import Metric
from core.metrics.registry import metric
from core.stats.agreement import Agreement, Leader, Pair

HOSTILE = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "a | b |\n| --- |\n# heading\n\n- item",
    "\x1b[2J\u202eright\x07",
    '"><img src=x onerror=alert(1)>&amp;',
    "</code></pre>\n```\n**bold** `code` </svg></style>",
    "{{ 7 * 7 }}{% raw %}",
)
VOID = {"meta"}


def report_of(text: str) -> RunReport:
    """A report in which the text stands wherever a user or a model may put one."""
    request = RunRequest(
        model=text, path=f"/models/{text}", metrics=("sap", "nll"), adapter=text, system=text, prompt_template=text,
        seed=5, valid=text, template_options=(("mode", text),),
    )  # fmt: skip
    run = Run(
        id=3, task=text, model=text, request=request, state=RunState.DONE, shown="done", want="run", phase="", why="",
        fence=1, attempt=1, done=4, total=4, errors=1, reused=0, phase_done=0, phase_total=0, tokens_done=0,
        tokens_total=0, tokens_per_second=0.0, token_budget=0, peak_memory=3 << 20, device="cpu", engine="static",
        log="", spec=1, weights_digest="w", strategies=(text, "other"), questions=7, owner=None, beat_at=None,
        created_at=0.0, started_at=1.0, ended_at=86_400.0,
    )  # fmt: skip
    rows = (
        RankRow(1, 1, 1, text, 7, 0.97, None, True, {"sap": Interval(2.5, 2.25, 2.75), "odd": Interval(1, 0, 2)},
                mean_tokens=12.34, accuracy=0.5, same_family=True),
        RankRow(2, 2, 2, "other", 7, 0.03, 0.0004, True, {"sap": Interval(3.5, 3.25, 3.75)}, Interval(1, 0.5, 1.5)),
    )  # fmt: skip
    ranking = Ranking("sap", "decided", 7, rows, left_out={f"left {text}": text}, warnings=(text,))
    odd = replace(metric("nll"), id="odd", label=text, description=text, source=text, contested=text)
    metrics: tuple[Metric, ...] = (metric("sap"), odd)
    correlation = Interval(-0.5, -0.75, -0.25)
    agreement = Agreement(
        metrics,
        (Pair("sap", "odd", 2, 7, correlation, correlation),),
        (Leader("sap", (text,), True, 7), Leader("odd", ("other",), False, 7)),
        {"car": text},
    )
    spec = ScoreSpec("w" * 32, "none", "float32", revision=text, system=text, template_options=(("mode", text),))
    return RunReport(
        run=run,
        ranking=RankingReport(3, text, text, "w", "float32", "none", metrics, ranking, partial=text, notes=(text,)),
        agreement=agreement,
        spec=spec,
        strategies=(StrategyFacts(text, text, "p" * 32, text, "s" * 32, 9, 6, {text: 1}, text),),
        task_questions=50,
        predictions=text,
        engines={text: 6},
        events=(Event(1, 3, 2.0, "warning", text),),
        program="1.2.3",
        written_at=90_000.0,
    )


class Structure(HTMLParser):
    """Tags with the names of their attributes, in order; every opened one must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attributes if name != "class")))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def markdown_structure(text: str) -> list[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [part.type for token in tokens for part in (token, *(token.children or ())) if part.type != "text_special"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup(text: str) -> None:
    hostile, harmless = (run_document(report_of(each)) for each in (text, "harmless"))
    page = to_html(hostile)
    assert Structure(page).tags == Structure(to_html(harmless)).tags
    without_text_runs = [
        [part for part in markdown_structure(to_markdown(each)) if part != "text"] for each in (hostile, harmless)
    ]
    assert without_text_runs[0] == without_text_runs[1]
    for written in (page, to_markdown(hostile)):
        assert all(character.isprintable() or character == "\n" for character in written)


def test_the_texts_can_be_read_in_the_page() -> None:
    shown = "".join(Structure(to_html(run_document(report_of("<b>bold</b>")))).text)
    assert "<b>bold</b> under <b>bold</b>: ranking of run 3" in shown


def test_a_page_has_nothing_from_outside() -> None:
    page = to_html(run_document(report_of("x")))
    assert "<script" not in page
    assert "url(" not in page
    assert {value for value in Structure(page).tags if value[0] in ("link", "img", "iframe")} == set()
    assert page.count("http") == page.count("http-equiv") + page.count("http://www.w3.org/2000/svg")
    assert "default-src 'none'" in page


@pytest.mark.parametrize("write", [to_html, to_markdown])
def test_a_report_says_what_its_ranking_depends_on(write: object) -> None:
    text = write(run_document(report_of("chatty")))  # type: ignore[operator]
    for words in (
        "Decided: chatty is the best by sap over 7 questions.",
        "left chatty has no rank: chatty.",
        "12.3",
        "50.0%",
        "below 0.001",
        "7 of 50: of those that every strategy answered, drawn with seed 5",
        "w" * 32,
        "s" * 32,
        "p" * 32,
        "Ren, Chen, Liu: arXiv 2502.11779",
        "1970-01-02 00:00:00 UTC",
        "sap-tui 1.2.3",
        "Holm",
        "--seed 5",
        "sap-tui rank 3 --by sap",
        "sap and odd (-0.50)",
        "car cannot be had: chatty",
    ):
        assert words in text.replace("\\", ""), words


def test_intervals_stand_in_the_picture_where_their_values_are() -> None:
    bars = tuple(
        Bar(name, low, value, high, False, "")
        for name, low, value, high in (("a", 1, 2, 3), ("b", 2, 3, 4), ("c", 1.5, 2.5, 5))
    )
    plot = IntervalPlot("t", bars)
    assert plot.x(1) < plot.x(2) < plot.x(3) < plot.x(4) < plot.x(5)
    assert plot.x(3) - plot.x(2) == pytest.approx(plot.x(2) - plot.x(1), abs=0.02)
    for place, label in plot.ticks:
        assert place == plot.x(float(label))
    assert 3 <= len(plot.ticks) <= 8
    assert not any(plot.beyond(bar) for bar in bars)


def test_a_strategy_far_off_does_not_squeeze_the_others() -> None:
    bars = [Bar("a", 1, 2, 3, False, ""), Bar("b", 1.5, 2.5, 3.5, True, ""), Bar("c", 900, 950, 999, True, "")]
    plot = IntervalPlot("t", tuple(bars))
    assert plot.beyond(bars[2]) == "right"
    assert plot.x(3) - plot.x(1) > 300
    below = IntervalPlot("t", tuple(replace(bar, low=-bar.high, value=-bar.value, high=-bar.low) for bar in bars))
    assert below.beyond(below.bars[2]) == "left"
    alike = IntervalPlot("t", (Bar("a", 2, 2, 2, False, ""),))
    assert alike.scale[0] < 2 < alike.scale[1]
