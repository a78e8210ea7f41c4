"""Samples for people, as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.export.comparison import Sample, Samples, SampleTokens

WORST = 10
TOKEN_WIDTH = 30


def samples_text(found: Samples, *, all_tokens: bool = False) -> Iterator[str]:
    """The question and every response with its scores; of its tokens those with the most surprisal, or all."""
    from core.text import visible

    question = found.question
    named = f"#{question.position + 1}" + (f" ({visible(question.key)})" if question.key is not None else "")
    yield f"Run {found.run}: question {named} of {visible(found.task)} under {visible(found.model)}"
    for turn in question.turns:
        yield from _text(f"question, {visible(turn.role)}" if len(question.turns) > 1 else "question", turn.content)
    if question.answer is not None:
        yield from _text("gold answer", question.answer)
    for sample in found.samples:
        yield from _sample(sample, all_tokens)


def _sample(sample: Sample, all_tokens: bool) -> Iterator[str]:
    from core.text import visible
    from sap_tui.commands.tables import aligned

    right = {True: ", right", False: ", wrong", None: ""}[sample.right]
    yield from _text(f"{visible(sample.strategy)}{right}", sample.text)
    if sample.scores:
        yield ""
        rows = [
            (
                str(each.context).replace("_", "-"),
                "-" if each.tokens is None else f"{each.tokens:,}",
                visible(each.why) if each.mean_nll is None else f"{each.mean_nll:.4f}",
            )
            for each in sample.scores
        ]
        yield from aligned(("context", "tokens", "nats a token"), rows, (1, 2))
    if sample.tokens is not None:
        yield ""
        yield from token_lines(sample.text, sample.tokens, None if all_tokens else WORST)
    for note in sample.notes:
        yield f"! {visible(note)}"


def token_lines(text: str, tokens: SampleTokens, most: int | None = None) -> list[str]:
    """A table of the tokens in their order, or of so many with the most surprisal, most first."""
    import numpy as np

    from core.export.comparison import tokens_object
    from sap_tui.commands.tables import aligned

    table = tokens_object(tokens)
    order = range(len(table["surprisal"]))
    if most is not None:
        order = np.argsort(-np.array(table["surprisal"]), kind="stable")[:most].tolist()
    rows = [
        (
            f"{place + 1:,}",
            shown_token(text, table["ends"], place),
            f"{table['surprisal'][place]:.3f}",
            f"{table['probability'][place]:.3g}",
            "-" if table["rank"] is None else f"{table['rank'][place]:,}",
            "-" if table["entropy"] is None else f"{table['entropy'][place]:.3f}",
        )
        for place in order
    ]
    return aligned(("token", "", "surprisal (nats)", "probability", "rank", "entropy (nats)"), rows, (0, 2, 3, 4, 5))


def shown_token(text: str, ends: Sequence[int] | None, place: int) -> str:
    """The token's characters with every hidden one visible; where it is only the beginning of one, that one."""
    from rich.cells import cell_len, set_cell_size

    if ends is None:
        return "?"
    start, end = (ends[place - 1] if place else 0), ends[place]
    shown = _drawn(text[start:end]).replace(" ", "␣") if end > start else f"(of {_drawn(text[start : start + 1])})"
    return shown if cell_len(shown) <= TOKEN_WIDTH else f"{set_cell_size(shown, TOKEN_WIDTH - 1)}…"


def _drawn(text: str) -> str:
    """As on the screen; what would not be seen there by its code points."""
    from sap_tui.cells import on_screen

    return on_screen(text) or "".join(f"⟨U+{ord(character):04X}⟩" for character in text)


def _text(heading: str, text: str) -> Iterator[str]:
    from core.text import visible

    yield f"\n{heading}:\n{visible(text, multiline=True)}"
