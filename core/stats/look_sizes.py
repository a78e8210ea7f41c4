"""After how many questions a run that ends when it is decided is looked at; the screens know it without numpy."""

from __future__ import annotations

import math

FIRST_LOOK = 32
GROWTH = 1.5

_NOT_YET_THE_END = 0.9


def look_sizes(questions: int) -> tuple[int, ...]:
    """After how many questions to look: 32, 48, 72, 108, ... and at the end, unless that comes soon after."""
    sizes, size = [], float(FIRST_LOOK)
    while size < questions * _NOT_YET_THE_END:
        sizes.append(math.ceil(size))
        size *= GROWTH
    return (*sizes, questions)
