"""Contexts that come again in later calls, with what the model computed for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
_CONTEXTS = 2


class Kept(Generic[Value]):
    """The last two of them: the one that all questions share, and that of a question split over several calls."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[int, ...], Value] = OrderedDict()

    def get(self, context: tuple[int, ...], compute: Callable[[tuple[int, ...]], Value]) -> Value:
        """What is known for the context, computed now if nothing is."""
        if context not in self._values:
            while len(self._values) >= _CONTEXTS:
                self._values.popitem(last=False)
            self._values[context] = compute(context)
        self._values.move_to_end(context)
        return self._values[context]

    def clear(self) -> None:
        self._values.clear()
