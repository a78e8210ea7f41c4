"""Compared questions and the tokens of a response as rows, made only when they are drawn; and what stands around."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from textual.content import Content

from core.export.comparison import ALPHA
from core.text import visible
from sap_tui.commands.sample_text import shown_token
from sap_tui.comparisons import ShownQuestion, ShownSample, Tokens
from sap_tui.text import MUTED, joined, plain
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.records import Column, Record
from sap_tui.words import counted

COLOURS = {"a": "$primary", "b": "$accent"}
BEHIND = {"plain": "behind the question", "self_aligned": "behind examples and the question", "alone": "by itself"}
TOKEN_COLUMNS = (
    Column("token", "token", 16),
    Column("place", "#", 5, "right"),
    Column("surprisal", "nats", 7, "right"),
    Column("probability", "probability", 11, "right"),
    Column("rank", "rank", 6, "right"),
    Column("entropy", "entropy", 9, "right"),
)
TOKEN_SORTS = {"place": None, "surprisal": "surprisal", "probability": "probability", "rank": "rank",
               "entropy": "entropy"}  # fmt: skip


def pair_columns(comparison: Mapping[str, Any] | None) -> tuple[Column, ...]:
    """The columns of the questions; numbers as wide as the metric's decimals need."""
    rows = comparison["rows"] if comparison else []
    decimals = comparison["metric"]["decimals"] if comparison else 3
    largest = max((abs(value) for row in rows for value in (row["a"], row["b"]) if value is not None), default=0.0)
    width = max(6, len(f"{-largest:.{decimals}f}"))
    return (
        Column("question", "question", max([8, *(min(20, len(_name(row))) for row in rows[:1_000])]), is_name=True),
        Column("a", "A", width, "right"),
        Column("b", "B", width, "right"),
        Column("ahead", "A ahead", max(9, width + 1), "right"),
        Column("tokens_a", "tokens A", 8, "right"),
        Column("tokens_b", "B", 6, "right"),
        Column("opening", "", 20, stretch=True),
    )


class PairRows:
    """The questions of a comparison in some order; keys are their positions."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], decimals: int) -> None:
        self._rows = rows
        self._decimals = decimals
        self._places = {row["position"]: place for place, row in enumerate(rows)}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> Record:
        row = self._rows[index]
        ahead = row["ahead"]
        colour = MUTED if not ahead else COLOURS["a"] if ahead > 0 else COLOURS["b"]
        return Record(
            row["position"],
            (
                plain(_name(row)),
                *(self._value(row[side]) for side in ("a", "b")),
                Content.styled("–" if ahead is None else f"{ahead:+.{self._decimals}f}", colour),
                *(Content.styled("–" if count is None else f"{count:,}", MUTED) for count in row["tokens"]),
                plain(row["opening"]),
            ),
        )

    def _value(self, value: float | None) -> Content:
        return Content("–" if value is None else f"{value:.{self._decimals}f}")

    def position(self, key: Hashable) -> int | None:
        return self._places.get(key) if isinstance(key, int) else None


def sorted_pairs(rows: Sequence[Mapping[str, Any]], column: str | None, backwards: bool) -> list[Mapping[str, Any]]:
    """The questions by a column, those without a value last; without one as they came."""
    if column is None:
        return list(rows)[::-1] if backwards else list(rows)

    def value(row: Mapping[str, Any]) -> Any:
        if column in ("tokens_a", "tokens_b"):
            return row["tokens"][column == "tokens_b"]
        return row["position"] if column == "question" else row[column]

    known = [row for row in rows if value(row) is not None]
    rest = [row for row in rows if value(row) is None]
    return sorted(known, key=value, reverse=backwards) + rest


def _name(row: Mapping[str, Any]) -> str:
    return f"#{row['position']}" if row["key"] is None else str(row["key"])


class TokenRows:
    """The tokens of a response in their order, or by one of their numbers; keys are their places from 0."""

    def __init__(self, text: str, tokens: Tokens, column: str | None = None, backwards: bool = False) -> None:
        self._text = text
        self._tokens = tokens
        values = getattr(tokens, TOKEN_SORTS.get(column or "") or "", None)
        order = range(len(tokens.surprisal))
        self._order = sorted(order, key=values.__getitem__) if values is not None else list(order)
        if backwards:
            self._order.reverse()
        self._places = {token: place for place, token in enumerate(self._order)}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int, /) -> Record:
        token = self._order[index]
        return Record(token, (plain(shown_token(self._text, self._tokens.ends, token)), *_numbers(self._tokens, token)))

    def position(self, key: Hashable) -> int | None:
        return self._places.get(key) if isinstance(key, int) else None


def _numbers(tokens: Tokens, token: int) -> tuple[Content, ...]:
    return (
        Content.styled(f"{token + 1:,}", MUTED),
        Content(f"{tokens.surprisal[token]:.3f}"),
        Content(f"{tokens.probability[token]:.3g}"),
        Content("–" if tokens.rank is None else f"{tokens.rank[token]:,}"),
        Content("–" if tokens.entropy is None else f"{tokens.entropy[token]:.3f}"),
    )


def token_line(text: str, tokens: Tokens, token: int) -> Content:
    """What the target model made of one token, in a line."""
    numbers = [
        f"{tokens.surprisal[token]:.2f} nats",
        f"probability {tokens.probability[token]:.3g}",
        "" if tokens.rank is None else f"rank {tokens.rank[token]:,}",
        "" if tokens.entropy is None else f"entropy {tokens.entropy[token]:.2f}",
        f"token {token + 1:,} of {len(tokens.surprisal):,}",
        BEHIND.get(tokens.context, tokens.context),
    ]
    shown = Content.assemble(("‘", MUTED), plain(shown_token(text, tokens.ends, token), "bold"), ("’", MUTED))
    return joined([shown, *map(Content, numbers)])


def sample_title(sample: ShownSample, letter: str = "") -> Content:
    """Name, surprisal, length, and whether the final answer is right."""
    name = plain(sample.strategy, f"{COLOURS.get(letter, '$foreground')} bold")
    tokens = len(sample.tokens.surprisal) if sample.tokens else None
    right = {True: Content.styled("right", "$success"), False: Content.styled("wrong", "$error"), None: Content()}
    return joined(
        [
            Content.assemble((f"{letter.upper()} " if letter else "", MUTED), name),
            right[sample.right],
            Content("" if sample.mean_nll is None else f"{sample.mean_nll:.3f} nats"),
            Content("" if tokens is None else counted(tokens, "token")),
        ]
    )


def comparison_summary(comparison: Mapping[str, Any]) -> Content:
    """How far A is ahead and how sure that is, on how many questions, scores and lengths; then the notes."""
    decimals, counts = comparison["metric"]["decimals"], f"{comparison['wins']:,}, B on {comparison['losses']:,}"
    alike = f", {comparison['ties']:,} alike" if comparison["ties"] else ""
    parts = [Content(f"A better on {counts} of {counted(comparison['questions'], 'question')}{alike}")]
    if comparison["ahead"] is not None:
        value, low, high = (f"{comparison['ahead'][end]:+.{decimals}f}" for end in ("value", "low", "high"))
        is_separable = comparison["p_value"] < ALPHA
        colour = ("$primary" if comparison["ahead"]["value"] > 0 else "$accent") if is_separable else "$foreground"
        scores = ", ".join(f"{score['value']:.{decimals}f}" for score in comparison["scores"])
        parts = [
            Content.assemble(
                "A ahead by ", (value, f"{colour} bold"), (f" [{low}, {high}]", MUTED), f" p {comparison['p']}, ",
                "separable" if is_separable else "not separable",
            ),
            *parts,
            Content(f"scores {scores}"),
            Content("tokens " + ", ".join(f"{count:,.0f}" for count in comparison["mean_tokens"])),
        ]  # fmt: skip
    notes = [plain(f"! {note}", "$warning") for note in comparison["notes"]]
    return Content("\n").join([joined(parts), *notes])


def sample_facts(question: ShownQuestion) -> Content:
    """The question's turns, the gold answer and what the response got behind each context."""
    (sample,) = question.samples
    several = len(question.turns) > 1
    texts = [(role if several else "question", content) for role, content in question.turns]
    texts += [("gold answer", question.answer)] if question.answer is not None else []
    blocks = [
        Content.assemble((f"{visible(name)}\n", "$primary bold"), plain(text, multiline=True)) for name, text in texts
    ]
    scores = [
        (
            BEHIND.get(score["context"], score["context"]),
            plain(score["why"], "$warning") if score["mean_nll"] is None else Content(f"{score['mean_nll']:.3f} nats"),
        )
        for score in sample.scores
    ]
    return Content("\n").join([*blocks, *([fields(scores)] if scores else [])])


def why_no_tokens(sample: ShownSample) -> Content:
    """What is missing and how to get it; empty where nothing is."""
    words = [*sample.notes, *(f"{score['context']}: {score['why']}" for score in sample.scores if score["why"])]
    return plain(" ".join(words), "$warning")
