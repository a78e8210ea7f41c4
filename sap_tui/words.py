"""Times and sizes as people say them."""

from __future__ import annotations


def ago(seconds: float) -> str:
    """How long ago: `just now`, `5 min ago`, `2 h ago`, `3 d ago`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def gibibytes(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.0f} MiB"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`; nouns ending in y change it."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def within(value: float, decimals: int, room: int) -> str:
    """The value with as many decimals as fit into so many characters, and where none do with an exponent."""
    kinds = [*(f".{places}f" for places in range(decimals, -1, -1)), *(f".{places}e" for places in range(room, -1, -1))]
    return next((text for kind in kinds if len(text := f"{value:{kind}}") <= room), f"{value:.0e}")
