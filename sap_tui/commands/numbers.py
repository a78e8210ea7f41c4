"""Numbers on a command line: the types of options that take one."""

from __future__ import annotations

import argparse

LARGEST = 10**15
_SHOWN_CHARACTERS = 40


def integer(text: str) -> int:
    """A whole number that SQLite can hold with room to count on from it. ArgumentTypeError for any other text."""
    shown = text[:_SHOWN_CHARACTERS]
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown!r} is no whole number") from None
    if abs(number) > LARGEST:
        raise argparse.ArgumentTypeError(f"{shown} is too large, the largest is {LARGEST:,}")
    return number


def count(text: str) -> int:
    """A whole number from 0 on. ArgumentTypeError for any other text."""
    number = integer(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than 0")
    return number
