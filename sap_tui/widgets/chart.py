"""A plot in the terminal, drawn by plotext; imported when a screen with a plot opens."""

from __future__ import annotations

from rich.text import Text
from textual_plotext import PlotextPlot
from textual_plotext.plot import Plot

from sap_tui.themes import PlotColour, plot_colours
from sap_tui.widgets.drawing import Axis, Band, Drawing, between, placed_labels, room_beside

PLAIN = "default"
# The axis, its numbers and its title; and inside the axes the title of the other one.
ROWS_BELOW = 3
ROWS_ABOVE = 1
FILLING = "░"
DOT = "·"


class Chart(PlotextPlot):
    """Shows a Drawing; built anew only when that, the size or the theme has changed."""

    DEFAULT_CSS = "Chart { color: $foreground-muted; height: 1fr; }"

    def __init__(self, chart_id: str) -> None:
        super().__init__(id=chart_id)
        self.theme = "textual-clear"
        self._drawing: Drawing | None = None
        self._built: tuple[object, Text] = (None, Text())

    def show(self, drawing: Drawing | None) -> None:
        if drawing != self._drawing:
            self._drawing = drawing
            self.refresh()

    def render(self) -> Text:
        wanted = (self._drawing, self.size, self.app.theme)
        if wanted != self._built[0]:
            colours = plot_colours(self.app.current_theme)
            self._built = (wanted, built(self._drawing, self.size.width, self.size.height, colours))
        return self._built[1]


def built(drawing: Drawing | None, width: int, height: int, colours: tuple[PlotColour, ...]) -> Text:
    """The drawing in so many cells; nothing where there is no room for it."""
    if drawing is None or width < 12 or height < ROWS_BELOW + ROWS_ABOVE + 2:
        return Text()
    plot = Plot()
    plot.plotsize(width, height)
    plot._set_size(width, height)
    plot.theme("textual-clear")
    _Canvas(plot, drawing, width, height, colours).draw()
    return Text.from_ansi(plot.build())


class _Canvas:
    """The cells inside the axes."""

    def __init__(self, plot: Plot, drawing: Drawing, width: int, height: int, colours: tuple[PlotColour, ...]) -> None:
        self._plot = plot
        self._drawing = drawing
        self._colours = colours
        self._width = width - 1 - max((len(label) for _, label in drawing.y.ticks), default=0)
        self._height = height - ROWS_BELOW
        room = room_beside(drawing, self._width)
        # The labels stand behind the end of the axis.
        high = drawing.x.high + (drawing.x.high - drawing.x.low) * room / max(1, self._width - room)
        self._x = Axis(drawing.x.low, high, drawing.x.ticks, drawing.x.title)
        above = (drawing.y.high - drawing.y.low) * ROWS_ABOVE / (self._height - ROWS_ABOVE - 1)
        self._y = Axis(drawing.y.low, drawing.y.high + above, drawing.y.ticks, drawing.y.title)

    def draw(self) -> None:
        self._axes()
        for band in self._drawing.bands:
            self._fill(band)
        for line in self._drawing.lines:
            marker = DOT if line.dotted else "braille"
            self._plot.plot(list(line.xs), list(line.ys), marker=marker, color=self._colour(line.colour))
        self._labels()

    def _axes(self) -> None:
        plot, drawing = self._plot, self._drawing
        plot.frame(False)
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        plot.xlim(self._x.low, self._x.high)
        plot.ylim(self._y.low, self._y.high)
        plot.xticks([value for value, _ in drawing.x.ticks], [label for _, label in drawing.x.ticks])
        plot.yticks([value for value, _ in drawing.y.ticks], [label for _, label in drawing.y.ticks])
        plot.xlabel(drawing.x.title)
        plot.text(drawing.y.title, self._x.low, self._y.high, color=PLAIN, alignment="left")
        # Without any point there are no axes.
        plot.scatter([self._x.low], [drawing.y.low], marker=" ")

    def _fill(self, band: Band) -> None:
        columns = range(self._x.cell(band.xs[0], self._width), self._x.cell(band.xs[-1], self._width) + 1)
        at = [min(max(self._x.value(column, self._width), band.xs[0]), band.xs[-1]) for column in columns]
        ends = zip(at, between(band.xs, band.lows, at), between(band.xs, band.highs, at), strict=True)
        y = self._y
        cells = [
            (x, y.value(row, self._height))
            for x, low, high in ends
            for row in range(y.cell(low, self._height), y.cell(high, self._height) + 1)
        ]
        self._plot.scatter(
            [x for x, _ in cells], [value for _, value in cells], marker=FILLING, color=self._colour(band.colour)
        )

    def _labels(self) -> None:
        for label in placed_labels(self._drawing, self._width, self._height - ROWS_ABOVE):
            self._plot.text(
                label.text,
                self._x.value(label.column, self._width),
                self._y.value(label.row, self._height),
                color=self._colour(label.mark.colour),
                style="bold" if label.mark.strong else PLAIN,
                alignment="left",
            )

    def _colour(self, place: int | None) -> PlotColour | str:
        return PLAIN if place is None else self._colours[place % len(self._colours)]
