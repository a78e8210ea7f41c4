"""The lines of the form of a new run that only some metrics need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from core.domain import Run
from core.metrics.base import Input as Need
from core.metrics.needs import needs_in_words
from core.metrics.registry import all_metrics, inputs_needed
from sap_tui.text import MUTED, plain
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.form import PathSuggester, labelled

VOTES, TEMPERATURE = "15", "1.1"
NO_SMALL_MODEL = "score the same strategies under a small model first, then choose that run here"
# What the form must ask for; behind the names of the metrics that need it stands a sign.
ASKED_FOR = (Need.VALID_NLL, Need.REWARD, Need.SMALL_MODEL_NLL, Need.TARGET_VOTE)
MORE = " …"


class MetricInputs(Vertical):
    """A line is there while a chosen metric needs it; `strategies` are TASK/STRATEGY, `runs` those of the task."""

    DEFAULT_CSS = "MetricInputs { height: auto; }"

    def __init__(self, strategies: Sequence[str], runs: Sequence[Run]) -> None:
        super().__init__()
        self._strategies = strategies
        self._runs = runs
        self._needed: frozenset[Need] = frozenset()

    def compose(self) -> ComposeResult:
        for need, line in zip(ASKED_FOR, self._lines(), strict=True):
            line.id = f"for-{need.replace('_', '-')}"
            yield line

    def _lines(self) -> Iterator[Widget]:
        valid = Input(id="valid", compact=True, suggester=SuggestFromList(self._strategies),
                      placeholder="TASK/STRATEGY of a few trusted responses, for ds_weight")  # fmt: skip
        yield labelled("valid set", valid)
        reward = Input(id="reward-model", compact=True, suggester=PathSuggester(), select_on_focus=False,
                       placeholder="a folder; empty: the values imported as the column reward")  # fmt: skip
        yield labelled("reward model", reward)
        yield labelled("small model", self._small_models())
        yield labelled(
            "votes",
            Input(VOTES, id="votes", compact=True),
            Static(Content("temperature"), classes="between"),
            Input(TEMPERATURE, id="vote-temperature", compact=True),
        )

    def _small_models(self) -> Widget:
        if not self._runs:
            return Static(Content.styled(NO_SMALL_MODEL, MUTED))
        return Choices([("", "none"), *((str(run.id), f"run {run.id}, {run.model}") for run in self._runs)],
                       "small-model-run")  # fmt: skip

    def show_for(self, metrics: Sequence[str]) -> None:
        self._needed = inputs_needed(metrics)
        for need in ASKED_FOR:
            self.query_one(f"#for-{need.replace('_', '-')}").display = need in self._needed

    def arguments(self) -> dict[str, str]:
        """The options of `score` that are filled in and needed, by name."""
        found = {}
        for need, name, usual in (
            (Need.VALID_NLL, "valid", ""),
            (Need.REWARD, "reward-model", ""),
            (Need.SMALL_MODEL_NLL, "small-model-run", ""),
            (Need.TARGET_VOTE, "votes", VOTES),
            (Need.TARGET_VOTE, "vote-temperature", TEMPERATURE),
        ):
            for field in self.query(f"#{name}") if need in self._needed else ():
                value = field.value.strip() if isinstance(field, (Input, Choices)) else ""
                if value != usual:
                    found[name] = value
        return found


def metric_options() -> list[tuple[str, str]]:
    """Every metric as value and label; the label says by a sign that the form asks for something more."""
    asked = set(ASKED_FOR)
    return [(one.id, one.id if asked.isdisjoint(one.inputs) else f"{one.id}{MORE}") for one in all_metrics().values()]


def metric_words(metric_id: str) -> Content:
    """What a metric is and what it is computed from."""
    metric = all_metrics()[metric_id]
    about = plain(f" · {metric.label}, {metric.direction} is better", MUTED)
    return Content.assemble(("needs ", MUTED), plain(needs_in_words(metric)), about)
