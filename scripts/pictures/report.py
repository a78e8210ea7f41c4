"""How two pictures of a screen differ, in words, and all that differ as a page to look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from html import escape
from itertools import groupby, zip_longest
from pathlib import Path
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
CELL_WIDTH = 12.2
MOST_CHANGES = 12
Row = list["Cell"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A character of the screen as it is drawn."""

    character: str = " "
    style: str = ""
    background: str = ""


def difference(before: str, after: str) -> str:
    """The lines that differ, then the styles of equal lines; empty when the screens are the same to see."""
    rows, others = rows_of(before), rows_of(after)
    texts, other_texts = list(map(_text, rows)), list(map(_text, others))
    lines = list(unified_diff(texts, other_texts, "in the picture", "on the screen now", lineterm="", n=1))
    for number, (row, other) in enumerate(zip_longest(rows, others, fillvalue=[]), 1):
        if _text(row) == _text(other):
            lines += _styles(number, row, other)
    return "\n".join(lines)


def _styles(number: int, row: Row, other: Row) -> list[str]:
    pairs = zip(row, other, strict=False)
    stretches = groupby(pairs, key=lambda pair: (_look(pair[0]), _look(pair[1])))
    changed = [
        f"line {number}, {''.join(one.character for one, _ in stretch)!r}: {before} is now {after}"
        for (before, after), stretch in stretches
        if before != after
    ]
    rest = len(changed) - MOST_CHANGES
    return changed[:MOST_CHANGES] + ([f"line {number}: {rest} changes more"] if rest > 0 else [])


def _text(row: Row) -> str:
    return "".join(cell.character for cell in row).rstrip()


def _look(cell: Cell) -> str:
    style = re.sub(r"(fill|font-weight|font-style|text-decoration): ", "", cell.style).replace(";", " ").strip()
    return f"{style or 'nothing'} on {cell.background or 'nothing'}"


def rows_of(svg: str) -> list[Row]:
    """The cells of a picture that Rich drew, line by line."""
    root = ElementTree.fromstring(svg)
    sheet = "".join(style.text or "" for style in root.iter(f"{SVG}style"))
    styles = {name: re.sub(r"\s+", " ", rules).strip() for name, rules in re.findall(r"\.([\w-]+) \{([^}]*)\}", sheet)}
    matrix = next(each for each in root.iter(f"{SVG}g") if each.get("class", "").endswith("-matrix"))
    backgrounds = [_stretch(each) for each in root.iter(f"{SVG}rect") if each.get("shape-rendering")]
    tops = sorted({float(each.get("y", 0)) for each in matrix.iter(f"{SVG}text")})
    rows: list[Row] = [[] for _ in tops]
    for each in matrix.iter(f"{SVG}text"):
        place, row = round(float(each.get("x", 0)) / CELL_WIDTH), rows[tops.index(float(each.get("y", 0)))]
        row += [Cell()] * (place - len(row))
        style = styles.get(each.get("class", ""), "")
        row += [Cell(character, style) for character in (each.text or "").replace("\xa0", " ").rstrip("\n")]
    lines = sorted({top for top, *_ in backgrounds})
    for top, start, end, colour in backgrounds:
        number = lines.index(top)
        if number < len(rows):
            row = rows[number]
            row += [Cell()] * (end - len(row))
            row[start:end] = [Cell(cell.character, cell.style, colour) for cell in row[start:end]]
    return rows


def _stretch(rectangle: ElementTree.Element) -> tuple[float, int, int, str]:
    start = float(rectangle.get("x", 0))
    end = start + float(rectangle.get("width", 0))
    top = float(rectangle.get("y", 0))
    return top, round(start / CELL_WIDTH), round(end / CELL_WIDTH), rectangle.get("fill", "")


def drawn_with(svg: str) -> str:
    """The versions that `signed` wrote into a picture."""
    found = re.search(r"<!-- drawn with (.*?) -->", svg)
    return found[1] if found else "something unknown"


def signed(svg: str, versions: str) -> str:
    """The picture with the versions of the libraries that drew it: others draw differently."""
    return svg.rstrip("\n") + f"\n<!-- drawn with {versions} -->\n"


def write_page(page: Path, pairs: Sequence[tuple[str, Path, Path]]) -> None:
    """A page with the pictures as they are kept and as they are now, side by side."""
    figures = [
        f"<h2>{escape(name)}</h2><div>"
        + "".join(f'<a href="{escape(each.as_uri())}"><img src="{escape(each.as_uri())}"></a>' for each in both)
        + "</div>"
        for name, *both in pairs
    ]
    head = "<!doctype html><meta charset=utf-8><title>Screens</title><style>img { width: 49% }</style>"
    page.write_text(
        "\n".join([head, "<p>Left: the picture that is kept. Right: the screen now.</p>", *figures]), "utf-8"
    )
