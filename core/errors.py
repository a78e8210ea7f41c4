"""The only exceptions whose text is meant for a user."""

from __future__ import annotations

from collections.abc import Sequence


class SapError(Exception):
    """Something the user can mend. `message` says what is wrong, `hint` what to do; exit code 1.

    `details` are lines that are shown above it, where there is more than one line can say.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(SapError):
    """Wrong use of a command or an invalid setting; exit code 2."""

    exit_code = 2


class NotFoundError(SapError):
    """A task, strategy, run, model or file that does not exist; exit code 3."""

    exit_code = 3


class InputError(SapError):
    """Input that cannot be read as what it should be; names the file and, where there is one, the line."""


class RunError(SapError):
    """A run that cannot succeed however often it is tried: model, template or data."""
