"""A report as titled blocks of plain text, and the two ways of writing it: Markdown and HTML.

Texts in a document are never markup, whatever they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from core.export.formats import escape_markdown
from core.export.interval_plot import IntervalPlot
from core.text import visible

_TEMPLATE = Path(__file__).with_name("document.html.jinja")


@dataclass(frozen=True, slots=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list; with `are_warnings` one that a reader must not miss."""

    kind: ClassVar[str] = "items"
    texts: tuple[str, ...]
    are_warnings: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values, in two columns."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns whose numbers are in `right` are aligned right."""

    kind: ClassVar[str] = "grid"
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied, line breaks and all."""

    kind: ClassVar[str] = "code"
    text: str


Block: TypeAlias = Paragraph | Items | Facts | Grid | Code | IntervalPlot


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    sections: tuple[Section, ...]


def to_html(document: Document) -> str:
    """One page without scripts and without anything from outside; dark where the reader's system is."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return value if isinstance(value, Markup) else visible(str(value))

    environment = Environment(
        autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["copied"] = lambda text: Markup(Markup.escape(visible(text, multiline=True)))
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(document=document)


def to_markdown(document: Document) -> str:
    """GitHub's Markdown; plots are left out, since the tables hold their numbers."""
    lines = [f"# {escape_markdown(document.title)}"]
    for section in document.sections:
        lines.append(f"## {escape_markdown(section.title)}")
        lines += ["\n".join(_markdown(block)) for block in section.blocks if not isinstance(block, IntervalPlot)]
    return "\n\n".join(lines) + "\n"


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text, is_strong):
            yield f"**{escape_markdown(text)}**" if is_strong else escape_markdown(text)
        case Items(texts):
            yield from (f"- {escape_markdown(text)}" for text in texts)
        case Facts(pairs):
            yield from (f"- {escape_markdown(name)}: {escape_markdown(value)}" for name, value in pairs)
        case Grid(header, rows, right):
            yield _markdown_row(header)
            yield f"| {' | '.join('---:' if column in right else ':---' for column in range(len(header)))} |"
            yield from map(_markdown_row, rows)
        case Code(text):
            # Indented, because no text can end an indented block.
            yield from (f"    {line}" for line in visible(text, multiline=True).split("\n"))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"
