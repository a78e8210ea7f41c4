"""The form of a new run: shows what it costs, what exists already and the equal command before anything starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from core.domain import RunState
from core.gpu import gpus
from core.metrics.registry import default_metrics
from sap_tui.hub_cache import cached_models
from sap_tui.text import MUTED, joined, plain
from sap_tui.twin import ask, command_line, option
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.estimate_words import estimate_words
from sap_tui.widgets.form import PathSuggester, buttons, labelled, picked
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.metric_inputs import MetricInputs, metric_options, metric_words
from sap_tui.words import gibibytes

if TYPE_CHECKING:
    from sap_tui.app import SapApp

TYPING_PAUSE_SECONDS = 0.7
QUANTIZATIONS = ("none", "int8", "nf4", "fp4")
DTYPES = ("auto", "float32", "bfloat16", "float16")
EXTRAS = (
    ("until-decided", "stop when the leader is clear"),
    ("download", "download if missing"),
    ("no-answer-filter", "no answer filter"),
)
# What `score` takes when the option is left out.
SAMPLES, SAMPLES_UNTIL_DECIDED = "50", "300"
LONGEST_LIST = 4
NAME_A_MODEL = "a model folder, a .gguf file or a hub id"
MOVES = "tab next · {take_choice} take · enter start"


class NewRunForm(Dialog[None]):
    """`strategies` are the marked ones; without any the run takes all of the task that have responses."""

    CSS_PATH = "new_run.tcss"
    if TYPE_CHECKING:
        app: SapApp

    def __init__(self, task: str, strategies: Sequence[str]) -> None:
        super().__init__()
        self._task_name = task
        self._strategies = strategies
        self._typing_pause: Timer | None = None
        self._cached = cached_models()

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content("New run")
            with VerticalScroll(classes="fields", can_focus=False):
                yield labelled("strategies", Static(self._what()))
                yield from self._model_lines()
                yield from self._precision_lines()
                yield from self._metric_lines()
                yield self._sample_line()
                yield labelled("options", Choices(EXTRAS, "extras", several=True))
                yield Static(id="command", classes="remark")
            yield Static(id="estimate")
            yield buttons(
                self.app.keymap.in_words(MOVES), ("start", "Start"), ("browse", "Browse"), ("cancel", "Cancel")
            )
        yield KeyLine()

    def _model_lines(self) -> Iterator[Widget]:
        models = self._models()
        first = self.app.settings.model or (models[0][0] if models else "")
        field = Input(first, id="model", compact=True, select_on_focus=False, placeholder=NAME_A_MODEL,
                      suggester=PathSuggester((*(value for value, _ in models), *self._cached)))  # fmt: skip
        yield labelled("target model", field)
        if models:
            yield labelled("", Choices(models, "recent", chosen=[first]))

    def _metric_lines(self) -> Iterator[Widget]:
        yield labelled("metrics", Choices(metric_options(), "metrics", chosen=default_metrics(), several=True))
        yield labelled("", Static(id="about-metric"))
        snapshot = self.app.snapshot
        runs = [run for run in snapshot.runs if run.task == self._task_name and run.state is RunState.DONE]
        yield MetricInputs([f"{one.task}/{one.name}" for one in snapshot.strategies if one.responses], runs)

    def _precision_lines(self) -> Iterator[Widget]:
        settings = self.app.settings
        yield labelled("quantization", Choices(_same(QUANTIZATIONS), "quantization", chosen=[settings.quantization]))
        yield labelled("dtype", Choices(_same(DTYPES), "dtype", chosen=["auto"]))
        yield labelled("device", Choices(_same(("auto", "cpu")), "device", chosen=[settings.device]))

    def _sample_line(self) -> Widget:
        return labelled(
            "samples",
            Input(str(self.app.settings.samples), id="samples", compact=True),
            Static(Content("examples"), classes="between"),
            Input(str(self.app.settings.examples), id="examples", compact=True),
            Static(Content("seed"), classes="between"),
            Input("", id="seed", compact=True, placeholder="first ones"),
        )

    def on_mount(self) -> None:
        self.query_one("#model", Input).focus()
        self._find_devices()
        self._explain_metric()
        self._changed()

    def _what(self) -> Content:
        names = [plain(name) for name in self._strategies[:LONGEST_LIST]]
        more = len(self._strategies) - len(names)
        if not names:
            with_responses = [one for one in self.app.snapshot.strategies_of(self._task_name) if one.responses]
            return Content.assemble(plain(self._task_name), (f", all {len(with_responses)} with responses", MUTED))
        listed = joined([*names, Content(f"and {more} more" if more else "")], ", ")
        return Content.assemble(plain(self._task_name), (f", {len(self._strategies)} marked: ", MUTED), listed)

    def _models(self) -> list[tuple[str, str]]:
        """Value and label of the models used last and of the newest in the hub cache, else of the bundled tiny one."""
        recent = [(name if "/" in name else path, name) for name, path in self.app.snapshot.models[:LONGEST_LIST]]
        known = {value for value, _ in recent}
        recent += [(name, name) for name in self._cached[:LONGEST_LIST] if name not in known]
        if recent:
            return recent
        from sap_tui.commands.demo import sample_data

        return [(str(sample_data() / "tiny-model"), "the bundled tiny model")]

    @work(thread=True, group="devices", exit_on_error=False)
    def _find_devices(self) -> None:
        found = [
            (gpu.device, f"{gpu.device} {gpu.name}, {gibibytes(gpu.free)} of {gibibytes(gpu.total)} free")
            for gpu in gpus()
        ]
        if len(found) > 1:
            found.append(("cuda", "cuda, spread over all GPUs"))
        if found:
            self.app.call_from_thread(self._show_devices, [*_same(("auto", "cpu")), *found])

    def _show_devices(self, options: Sequence[tuple[str, str]]) -> None:
        choices = self.query_one("#device", Choices)
        choices.set_options(options, choices.values or [self.app.settings.device])

    def on_input_changed(self) -> None:
        self._changed()

    def on_choices_changed(self, event: Choices.Changed) -> None:
        if event.choices.id == "recent":
            self.query_one("#model", Input).value = event.choices.value
        if event.choices.id == "extras":
            self._take_usual_samples(event.choices)
        self._changed()

    def on_choices_moved(self) -> None:
        self._explain_metric()

    def _explain_metric(self) -> None:
        """What the metric under the cursor needs."""
        self.query_one("#about-metric", Static).update(metric_words(self.query_one("#metrics", Choices).at_cursor))

    def _take_usual_samples(self, extras: Choices) -> None:
        """A run that stops by itself may go on for longer; what the user typed stays."""
        usual = (str(self.app.settings.samples), SAMPLES_UNTIL_DECIDED)
        before, after = usual if "until-decided" in extras.chosen else usual[::-1]
        if self._text("samples") == before:
            self.query_one("#samples", Input).value = after

    def _changed(self) -> None:
        """Show the command at once, and the estimate when the typing pauses."""
        self.query_one(MetricInputs).show_for(self.query_one("#metrics", Choices).values)
        line = command_line(self.app.catalogue, self._arguments())
        self.query_one("#command", Static).update(Content.assemble(("The same from a shell:\n", MUTED), plain(line)))
        self.workers.cancel_group(self, "estimate")
        self._say("")
        if self._typing_pause:
            self._typing_pause.stop()
        self._typing_pause = self.set_timer(TYPING_PAUSE_SECONDS, self._start_estimate)

    def _start_estimate(self) -> None:
        missing = self._missing()
        self._say(missing or "Estimating …", "$warning" if missing else MUTED)
        if not missing:
            self.run_worker(self._estimate(), group="estimate", exclusive=True)

    def _missing(self) -> str:
        """What must be filled in before anything can be said or done."""
        if not self._text("model"):
            return "Name the model that you are going to fine-tune."
        return "" if self.query_one("#metrics", Choices).values else "Choose a metric."

    async def _estimate(self) -> None:
        arguments = [each for each in self._arguments() if each != "--download"]
        answer = await ask(self.app.catalogue, *arguments, "--dry-run", "--json")
        if answer.code:
            self._say(answer.problem, "$error")
        else:
            lacks = [line for line in answer.stderr.splitlines() if line.startswith("! ")]
            self.query_one("#estimate", Static).update(estimate_words(json.loads(answer.stdout), lacks))

    def _say(self, text: str, style: str = MUTED) -> None:
        self.query_one("#estimate", Static).update(plain(text or " ", style))

    def _arguments(self) -> list[str]:
        """The arguments of the equal command; what is as it would be anyway is left out."""
        arguments = ["score", *option("task", self._task_name), *option("model", self._text("model"))]
        for name in self._strategies:
            arguments += option("strategy", name)
        metrics = self.query_one("#metrics", Choices).values
        if tuple(metrics) != default_metrics():
            arguments += [part for metric in metrics for part in option("metric", metric)]
        for name, value in self.query_one(MetricInputs).arguments().items():
            arguments += option(name, value)
        samples = SAMPLES_UNTIL_DECIDED if "until-decided" in self.query_one("#extras", Choices).chosen else SAMPLES
        for name, usual in (("samples", samples), ("examples", "2"), ("seed", "")):
            if self._text(name) != usual:
                arguments += option(name, self._text(name))
        for name, usual in (("quantization", "none"), ("dtype", "auto"), ("device", "auto")):
            if (value := self.query_one(f"#{name}", Choices).value) != usual:
                arguments += option(name, value)
        return arguments + [f"--{name}" for name in self.query_one("#extras", Choices).values]

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def on_input_submitted(self) -> None:
        self._start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "start":
            self._start()
        elif event.button.id == "browse":
            self.run_worker(self._browse(), group="browse")
        else:
            self.action_close()

    async def _browse(self) -> None:
        chosen = await picked(self.app, self._text("model"), folder=True)
        if chosen is not None:
            self.query_one("#model", Input).value = chosen

    def _start(self) -> None:
        if self._missing():
            self._say(self._missing(), "$error")
        elif not any(worker.group == "start" and not worker.is_finished for worker in self.app.workers):
            if self._typing_pause:
                self._typing_pause.stop()
            self.workers.cancel_group(self, "estimate")
            self.run_worker(self._queue(), group="start")

    async def _queue(self) -> None:
        self._say("Starting …")
        answer = await ask(self.app.catalogue, *self._arguments(), "--json")
        if answer.code:
            self._say(answer.problem, "$error")
            return
        self.dismiss(None)
        self.app.run_started(int(json.loads(answer.stdout)["run"]))


def _same(values: Sequence[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]
