"""Plain aligned tables, the same with and without a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Lines of cells that are already safe to print; columns in `right` are aligned right, in any terminal."""
    from rich.cells import cell_len

    from sap_tui.cells import on_screen

    table = [tuple(map(on_screen, row)) for row in (header, *rows)]
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(header))]
    lines = []
    for row in table:
        cells = []
        for column, text in enumerate(row):
            space = " " * (widths[column] - cell_len(text))
            cells.append(space + text if column in right else text + space)
        lines.append("  ".join(cells).rstrip())
    return lines


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    print("\n".join(aligned(header, rows, right)))
