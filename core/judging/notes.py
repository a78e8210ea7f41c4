"""What is left out and why, one line a reason however many places it holds in."""

from __future__ import annotations

from core.text import visible

_SHOWN = 3


class Places:
    """Collects places by reason."""

    def __init__(self) -> None:
        self._by_reason: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        self._by_reason.setdefault(reason, []).append(place)

    def notes(self) -> tuple[str, ...]:
        """One sentence a reason with its first places; safe to print."""
        return tuple(_note(reason, places) for reason, places in self._by_reason.items())


def _note(reason: str, places: list[str]) -> str:
    more = f" and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
    return f"{visible(reason)}: {visible('; '.join(places[:_SHOWN]))}{more}."
