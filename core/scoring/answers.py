"""Final answers of responses and whether they equal the gold answer (the correctness filter of self-aligned scores).

The final answer is the text after the last "Final Answer:", else the last `\\boxed{}`, else what the gold answer's
kind looks for: the last number, option, truth word, or the whole text.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from fractions import Fraction

_MARKER = re.compile(r"final\s+answer\W{0,4}[:：]", re.IGNORECASE)
_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?!\w))?"
_NUMBER = re.compile(rf"(?:(?<![\w.)])[-−+])?[$€£]?{_DIGITS}(?:/\d+(?![\d/]))?")
_WHOLE_NUMBER = re.compile(rf"([-−+]?)[$€£]?([-−+]?)({_DIGITS})(?:\s*/\s*({_DIGITS}))?\s*%?")
_STANDING_ALONE = re.compile(r"(?<![\w'’])\(?([A-Z]|\d{1,2})\)?(?![\w'’])")
_OPTION = re.compile(r"\(([A-Za-z]|\d{1,2})\)|(?<![\w'’.])([B-HJ]|A(?! [a-z])|\d{1,2})(?![\w'’])")
_WHOLE_OPTION = re.compile(r"\(?([A-Za-z]|\d{1,2})\)?\s*[.:)]?")
_TRUTH = re.compile(r"\b(true|false|yes|no)\b", re.IGNORECASE)
_TRUTH_VALUES = {"true": True, "yes": True, "false": False, "no": False}
_MATHEMATICS = re.compile(
    r"\\[A-Za-z]+|[\^_{}=<>]|\d\s*[a-z]\b|\b[a-z]\s*[-+*/]|\d\s*[-+*/:]\s*\d|^[\[(]\s*-?\d.*[\])]$"
)
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_SHORT_TEXT = re.compile(r"(?!.*\b(?:lambda|def|return|import)\b)[\w\s'’.,&/:%$€£+-]{1,80}")
_OPENING_MARKS = ' *_`"“'
_CLOSING_MARKS = ' *_`"”.'
_BRACE = re.compile(r"[{}]")
_LONGEST_EXPRESSION = 300
_ENDLESS = re.compile(r"(?:\^|\*\*)[\s{(]*-?(?:\w+\s*(?:\^|\*\*)|\d{4,})|\d{4,}\s*!|!\s*!")
_LONGEST_NUMBER = 300


class GoldKind(StrEnum):
    """What a gold answer is, which decides how answers are found and compared."""

    NUMBER = "number"
    OPTION = "option"
    TRUTH = "truth"
    MATHEMATICS = "mathematics"
    SHORT_TEXT = "short text"


def gold_kind(gold: str) -> GoldKind | None:
    """The kind of a gold answer; None for one that cannot be checked, such as code or long text."""
    gold = _cleaned(gold)
    if not gold or "\n" in gold:
        return None
    if _number(gold) is not None:
        return GoldKind.NUMBER
    if gold.casefold() in _TRUTH_VALUES:
        return GoldKind.TRUTH
    if _WHOLE_OPTION.fullmatch(gold):
        return GoldKind.OPTION
    if _is_mathematics(gold):
        return GoldKind.MATHEMATICS
    if _SHORT_TEXT.fullmatch(gold) and len(gold.split()) <= 8:
        return GoldKind.SHORT_TEXT
    return None


def final_answer(text: str, gold: str) -> str | None:
    """The final answer that the text gives, as written; None where it gives none or the gold answer has no kind."""
    kind = gold_kind(gold)
    if kind is None:
        return None
    stated = _after_marker(text)
    if stated is None:
        stated = _last_boxed(text)
    if stated is not None:
        return _cleaned(stated)
    if kind is GoldKind.NUMBER:
        return _last(_NUMBER, text)
    if kind is GoldKind.OPTION:
        return _last(_OPTION, text)
    if kind is GoldKind.TRUTH:
        return _last(_TRUTH, text)
    lines = [line for line in text.splitlines() if line.strip()]
    return _cleaned(lines[-1]) if lines else None


def stated_answer(text: str, gold: str | None) -> str | None:
    """The final answer, as written; without a gold answer the stated one, the last box or the last number."""
    if gold is not None:
        return final_answer(text, gold)
    stated = _after_marker(text)
    if stated is None:
        stated = _last_boxed(text)
    return _last(_NUMBER, text) if stated is None else _cleaned(stated)


def comparable_answer(answer: str, kind: GoldKind | None) -> str:
    """A final answer in the form in which two of a kind are compared, None being the kind without a gold answer.

    Empty where the answer holds nothing of its kind.
    """
    if kind is GoldKind.OPTION:
        return _option(answer) or ""
    if kind is GoldKind.TRUTH:
        word = _TRUTH.search(answer)
        return str(_TRUTH_VALUES[word.group().casefold()]) if word else ""
    number = _number(answer)
    if number is None and kind is GoldKind.NUMBER and "\\" not in answer:
        tail = _number(answer.rpartition("=")[2].strip())
        number = _number(_last(_NUMBER, answer) or "") if tail is None else tail
        return "" if number is None else str(number)
    return _normalized(answer) if number is None else str(number)


def same_mathematics(answer: str, other: str, kind: GoldKind | None) -> bool:
    """Whether two final answers that are written differently are the same mathematics."""
    written = kind is GoldKind.MATHEMATICS or "\\" in answer or "\\" in other
    return written and kind not in (GoldKind.OPTION, GoldKind.TRUTH) and _equal_mathematics(answer, other)


def is_correct(text: str, gold: str) -> bool | None:
    """Whether the text's final answer equals the gold answer; None where the gold answer cannot be checked."""
    kind = gold_kind(gold)
    if kind is None:
        return None
    answer = final_answer(text, gold)
    if not answer:
        return False
    return _equal(answer, _cleaned(gold), kind)


def _equal(answer: str, gold: str, kind: GoldKind) -> bool:
    if kind is GoldKind.NUMBER:
        return _equal_numbers(answer, gold)
    if kind is GoldKind.TRUTH:
        word = _TRUTH.search(answer)
        return word is not None and _TRUTH_VALUES[word.group().casefold()] is _TRUTH_VALUES[gold.casefold()]
    if kind is GoldKind.OPTION:
        return _option(answer) == _option(gold)
    if _normalized(answer) == _normalized(gold):
        return True
    return kind is GoldKind.MATHEMATICS and _equal_mathematics(answer, gold)


def _after_marker(text: str) -> str | None:
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    rest = text[markers[-1].end() :].lstrip("*_ \t\r\n")
    boxed = _last_boxed(rest)
    return boxed if boxed is not None else rest.split("\n", 1)[0]


def _last_boxed(text: str) -> str | None:
    """What stands in the last closed \\boxed{}, with braces nested. One pass: there may be many."""
    begin, end = -1, -1
    open_braces: list[int] = []
    for brace in _BRACE.finditer(text, max(0, text.find("\\boxed{"))) if "\\boxed{" in text else ():
        place = brace.start()
        if text[place] == "{":
            open_braces.append(place)
        elif open_braces:
            opening = open_braces.pop()
            if opening > begin and text.endswith("\\boxed", 0, opening):
                begin, end = opening, place
    return text[begin + 1 : end] if begin >= 0 else None


def _cleaned(text: str) -> str:
    """Without the marks around an answer: emphasis, dollar signs of mathematics, quotes, a closing full stop."""
    text = text.strip().lstrip(_OPENING_MARKS).rstrip(_CLOSING_MARKS)
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing):
            return text.removeprefix(opening).removesuffix(closing).strip().rstrip(_CLOSING_MARKS)
    return text


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = None
    for match in pattern.finditer(text):
        found = match
    return found.group(found.lastindex or 0) if found else None


def _number(text: str) -> Fraction | None:
    """The number that the whole text is, percent and currency signs and thousands commas aside."""
    text = text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",").replace("\\!", "").strip()
    match = _WHOLE_NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        return None
    negative = any(sign in ("-", "−") for sign in match.group(1, 2))
    number, divisor = (Fraction((part or "1").replace(",", "")) for part in match.group(3, 4))
    if divisor == 0:
        return None
    return -number / divisor if negative else number / divisor


def _equal_numbers(answer: str, gold: str) -> bool:
    wanted, found = _number(gold), _number(answer)
    if found is None and "=" in answer:
        answer = answer.rpartition("=")[2].strip()
        found = _number(answer)
    if found is None and "\\" in answer:
        return _equal_mathematics(answer, gold)
    if found is None:
        found = _number(_last(_NUMBER, answer) or "")
    if wanted is None or found is None:
        return False
    return abs(found - wanted) <= abs(wanted) / 10**9


def _option(text: str) -> str | None:
    """The option's letter or digit, in capitals: the whole text, else the first one that stands by itself."""
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    match = _WHOLE_OPTION.fullmatch(text) or _OPTION.search(text) or _STANDING_ALONE.search(text)
    return match.group(match.lastindex or 0).upper() if match else None


def _is_mathematics(gold: str) -> bool:
    words = _WORD.findall(re.sub(r"\\(?:text|mathrm|textbf)\{[^{}]*\}|\\[A-Za-z]+", " ", gold))
    return len(gold) <= _LONGEST_EXPRESSION and not words and bool(_MATHEMATICS.search(gold))


def _normalized(text: str) -> str:
    """For comparing short texts: compatibility form, case, articles, punctuation at the ends and spaces aside."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"\b(?:a|an|the)\b", " ", text)
    return " ".join(text.split()).strip(" .,;:!?\"'()")


def _equal_mathematics(answer: str, gold: str) -> bool:
    """Symbolic comparison; expressions that could keep it busy for long count as different."""
    if any(len(text) > _LONGEST_EXPRESSION or _ENDLESS.search(text) for text in (answer, gold)):
        return False
    from core.scoring.mathematics import equal_mathematics

    return equal_mathematics(answer, gold)
